// What the service's own document says of the fields of a request: what each means, what it is where it is left out, and
// what may be chosen.

import { get } from "./api.js";

let loading = null;

// A function from a field's place in that request ("/recipe/epochs") to its `hint`, `initial` value and `choices`.
export async function fields(request) {
  loading ??= get("openapi.json").catch((error) => {
    loading = null; // to be asked for again
    throw error;
  });
  const { schemas } = (await loading).components;
  const record = ({ $ref, anyOf }) => schemas[($ref ?? anyOf?.find((kind) => kind.$ref)?.$ref)?.split("/").pop()];
  return (pointer) => {
    const [first, ...path] = pointer.slice(1).split("/");
    let field = schemas[request].properties[first];
    let initial = field.default; // of the whole, which the parts of a record that is none have none of
    for (const name of path) {
      initial = initial?.[name];
      field = record(field).properties[name];
    }
    const kind = field.items ?? field;
    return {
      hint: field.description.split(". ")[0].replace(/\.$/, ""),
      initial,
      choices: (kind.anyOf?.find((one) => one.enum) ?? kind).enum,
    };
  };
}
