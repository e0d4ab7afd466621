import { useT } from "../../../i18n";
import { healthState } from "../../../ui/applicationState";
import { RelativeTime } from "../../../ui/RelativeTime";
import { StatusText } from "../../../ui/StatusIcon";
import { syncWord } from "./filter";
import type { Item } from "./items";

/** Health of an object in a word; hatched with its time when `asOf` is there. */
export function ObjectHealth({ item, asOf }: { item: Item; asOf?: string }) {
  return (
    <StatusText
      state={healthState(item.health)}
      asOf={asOf !== undefined && (asOf === "" ? "?" : <RelativeTime at={asOf} short />)}
    />
  );
}

/** Sync of an object in a word; what is only owned has none. */
export function ObjectSync({ item, asOf }: { item: Item; asOf?: string }) {
  const t = useT();
  const word = syncWord(item);
  if (word === "owned" || word === "hook" || word === "orphaned")
    return (
      <span style={{ color: "var(--hw-text-dim)" }}>
        {word === "hook" ? item.hook : t("application.resources.syncWord", { word })}
      </span>
    );
  return (
    <StatusText state={word === "prune" ? "drifted" : (item.sync ?? "unknown")} asOf={asOf !== undefined && ""}>
      {t("application.resources.syncWord", { word })}
    </StatusText>
  );
}
