import { expect, test } from "vitest";
import type { OperationInfo } from "../../api/types";
import { operationKind } from "./facets";

test("what only says what a sync would do is called a plan", () => {
  const op = (dryRun?: boolean) => ({ kind: "sync", spec: { dryRun } }) as Pick<OperationInfo, "kind" | "spec">;
  expect(operationKind(op(true))).toBe("plan");
  expect(operationKind(op(false))).toBe("sync");
  expect(operationKind(op())).toBe("sync");
});
