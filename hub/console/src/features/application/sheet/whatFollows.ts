import type { AppView, ObjectKey, TreeNode } from "../../../api/types";
import { objectText } from "../object";

/**
 * What comes of an object that is deleted: the source wants it, and it is made again
 * by self-heal or by the next sync; nothing wants it any more; or its owner may make
 * another.
 */
export type Follows = "healed" | "missing" | "stays" | "owner";

export function whatFollows(app: AppView, nodes: readonly TreeNode[] | undefined, object: ObjectKey): Follows {
  const key = objectText(object);
  const managed = app.resources?.find((r) => objectText(r) === key);
  if (managed !== undefined && managed.requiresPruning !== true && !managed.hook) {
    const heals = app.autoSync && app.application?.spec.syncPolicy?.automated?.selfHeal === true;
    return heals ? "healed" : "missing";
  }
  const node = nodes?.find((n) => objectText(n) === key);
  return managed === undefined && (node?.parentUIDs?.length ?? 0) > 0 ? "owner" : "stays";
}
