/* {"builders": [], "passesArguments": null, "serves": true, "calls": []} */
using Shop.Shared;

var app = ShopApplication.Create(args);
app.MapGet("/", () => "Hello\n");
app.Run();
