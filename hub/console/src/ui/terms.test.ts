import { expect, test } from "vitest";
import { quotedTerm, terms, without } from "./terms";

test("terms are cut at spaces outside of quotes", () => {
  expect(terms("")).toEqual([]);
  expect(terms("  a  health:x,y ")).toEqual(["a", "health:x,y"]);
  expect(terms('"two words" name:"a b" -x')).toEqual(['"two words"', 'name:"a b"', "-x"]);
  expect(terms('name:"a \\" b" c')).toEqual(['name:"a \\" b"', "c"]);
  expect(terms("NOT a b NOT")).toEqual(["NOT a", "b", "NOT"]);
  expect(terms('"open to the end')).toEqual(['"open to the end']);
});

test("a filter without one of its terms", () => {
  expect(without("a b a", "a")).toBe("b a");
  expect(without("a", "b")).toBe("a");
});

test("whatever is quoted is one term again", () => {
  for (const v of ["eu", 'a"b', "a b", "\\", 'x\\"', "-y", "a,b:c"])
    expect(terms(quotedTerm("name", v))).toHaveLength(1);
});
