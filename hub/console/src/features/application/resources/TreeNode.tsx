import { memo } from "react";
import type { AppView } from "../../../api/types";
import { useT } from "../../../i18n";
import { healthState, syncState } from "../../../ui/applicationState";
import { MiddleTruncate } from "../../../ui/PlainText";
import type { State } from "../../../ui/palette";
import { plainLine } from "../../../ui/plain";
import { StatusIcon, useStateWord } from "../../../ui/StatusIcon";
import { syncWord } from "./filter";
import type { Node } from "./group";
import { nodeHeight, nodeWidth } from "./layout";
import classes from "./TreeView.module.css";

interface Props {
  id: string;
  app: AppView;
  node: Node;
  x: number;
  y: number;
  active: boolean;
  chosen: boolean;
  dim: boolean;
  small: boolean;
  asOf?: string;
  onOpen: (node: Node) => void;
}

/** One node of the tree: what it is, its name, and its health and sync as signs with words for readers. */
export const TreeNode = memo(function TreeNode({
  id,
  app,
  node,
  x,
  y,
  active,
  chosen,
  dim,
  small,
  asOf,
  onOpen,
}: Props) {
  const t = useT();
  const word = useStateWord();
  const item = node.items[0];
  const kind = item?.object.kind ?? t("application.title");
  const name = item === undefined ? app.name : item.object.name;
  const health: State = healthState(item?.health ?? app.health.status);
  const sync: State | undefined =
    item === undefined ? syncState(app.sync.status, app.sync.reason) : item.prune ? "drifted" : item.sync;
  const out = sync !== undefined && sync !== "healthy" ? sync : undefined;
  const syncLabel =
    out === undefined || item === undefined
      ? out && word(out)
      : t("application.resources.syncWord", { word: syncWord(item) });
  const facts = item === undefined || node.group ? "" : item.info.map((i) => i.value).join(" · ");
  const title = node.group ? t("application.resources.groupOf", { n: node.items.length, kind }) : name;
  // What signs say, and what is too small to be read, is said to readers.
  const said = [word(health), syncLabel, asOf !== undefined && t("application.freshness", { freshness: "stale" })];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree has the keys
    // biome-ignore lint/a11y/useFocusableInteractive: the tree has the focus
    <div
      id={id}
      role="treeitem"
      aria-level={node.depth + 1}
      aria-selected={active}
      aria-expanded={node.group ? false : undefined}
      className={classes.node}
      data-state={health}
      data-active={active || undefined}
      data-chosen={chosen || undefined}
      data-dim={dim || undefined}
      data-group={node.group || undefined}
      data-small={small || undefined}
      data-stale={asOf !== undefined || undefined}
      data-orphaned={item?.orphaned || undefined}
      style={{ transform: `translate(${x}px, ${y}px)`, width: nodeWidth, height: nodeHeight }}
      onClick={() => onOpen(node)}
      title={
        small
          ? plainLine(`${kind}/${name}`).slice(0, 200)
          : item?.message
            ? plainLine(item.message).slice(0, 500)
            : undefined
      }
    >
      <StatusIcon state={health} size={small ? 30 : 16} stale={asOf !== undefined && !small} />
      {small ? (
        <span className="visually-hidden">{plainLine(`${title} ${kind}${facts && ` · ${facts}`}`)}</span>
      ) : (
        <span className={classes.text}>
          <span className={classes.name}>
            <MiddleTruncate text={title} most={24} />
          </span>{" "}
          <span className={classes.kind}>
            {node.group ? t("application.resources.openGroup") : <MiddleTruncate text={kind} most={28} />}
            {facts !== "" && (
              <>
                {" · "}
                <MiddleTruncate text={facts} most={22} />
              </>
            )}
          </span>
        </span>
      )}
      <span className="visually-hidden">, {said.filter(Boolean).join(", ")}</span>
      {!small && out !== undefined && <StatusIcon state={out} size={14} stale={asOf !== undefined} />}
    </div>
  );
});
