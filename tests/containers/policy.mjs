// What the expression of a MutatingAdmissionPolicy makes for a Pod: {"expression": TEXT, "object": POD} on stdin, its value
// on stdout. Of the message types that an API server has there are those that the expression names.
import { readFileSync } from "node:fs";
import { run } from "@bufbuild/cel";
import { create, createFileRegistry, toJson } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label as Label, FieldDescriptorProto_Type as Type,
         FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

const text = (name, number) => ({ name, jsonName: name, number, type: Type.STRING, label: Label.OPTIONAL });
const message = (name, number, typeName, label) => ({ name, jsonName: name, number, type: Type.MESSAGE, label, typeName });

const variable = { name: "env", field: [text("name", 1), text("value", 2)] };
const container = {
  name: "containers",
  field: [text("name", 1), message("env", 2, ".Object.spec.containers.env", Label.REPEATED)],
  nestedType: [variable],
};
const spec = {
  name: "spec",
  field: [message("containers", 1, ".Object.spec.containers", Label.REPEATED)],
  nestedType: [container],
};
const root = { name: "Object", field: [message("spec", 1, ".Object.spec", Label.OPTIONAL)], nestedType: [spec] };
const file = create(FileDescriptorProtoSchema, { name: "pod.proto", syntax: "proto3", messageType: [root] });
const registry = createFileRegistry(file, () => undefined);

const { expression, object } = JSON.parse(readFileSync(0, "utf8"));
const value = run(expression, { object }, { registry });
if (value instanceof Error) throw value;
console.log(JSON.stringify(toJson(value.desc, value.message, { registry })));
