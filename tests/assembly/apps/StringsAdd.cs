/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": []} */
var builder = WebApplication.CreateBuilder(args);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
ICollection<string> names = new List<string>();
names.Add("http://*:80");
app.Run();
