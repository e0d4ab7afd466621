import { Button, Menu } from "@mantine/core";
import { type MessageKey, useT } from "../../i18n";
import { healthState } from "../../ui/applicationState";
import { Icon } from "../../ui/Icon";
import { MiddleTruncate } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { StatusIcon } from "../../ui/StatusIcon";
import classes from "./ApplicationsPage.module.css";
import { syncStates } from "./FacetPane";
import { closed, groupKeys, labelOf } from "./groups";

/** How many labels are offered. */
const mostLabels = 20;

/** By what rows are grouped; and all groups opened or closed at once. */
export function GroupMenu({
  value,
  labels,
  onChange,
  onOpen,
}: {
  value: string | undefined;
  /** Labels that there are. */
  labels: readonly string[];
  onChange: (key: string | undefined) => void;
  /** Left out while there are no groups. */
  onOpen?: (all: boolean) => void;
}) {
  const t = useT();
  const title = (key: string) => {
    const label = labelOf(key);
    return label === undefined ? t(`applications.${key}` as MessageKey) : plainLine(label.slice(0, 40));
  };
  const offered = labels.slice(0, mostLabels).map((l) => `label:${l}`);
  if (value !== undefined && labelOf(value) !== undefined && !offered.includes(value)) offered.unshift(value);
  return (
    <Menu position="bottom-start" width={240}>
      <Menu.Target>
        <Button variant="default" leftSection={<Icon name="columns" size={14} />}>
          {value === undefined ? t("applications.group") : t("applications.group.by", { key: title(value) })}
        </Button>
      </Menu.Target>
      <Menu.Dropdown mah="60vh" style={{ overflow: "auto" }}>
        <Menu.RadioGroup value={value ?? ""} onChange={(v) => onChange(v === "" ? undefined : v)}>
          <Menu.RadioItem closeMenuOnClick value="">
            {t("applications.group.none")}
          </Menu.RadioItem>
          {groupKeys.map((k) => (
            <Menu.RadioItem key={k} closeMenuOnClick value={k}>
              {title(k)}
            </Menu.RadioItem>
          ))}
          {offered.length > 0 && <Menu.Label>{t("applications.group.labels")}</Menu.Label>}
          {offered.map((k) => (
            <Menu.RadioItem key={k} closeMenuOnClick value={k}>
              {title(k)}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        {onOpen !== undefined && (
          <>
            <Menu.Divider />
            <Menu.Item onClick={() => onOpen(true)}>{t("applications.group.expand")}</Menu.Item>
            <Menu.Item onClick={() => onOpen(false)}>{t("applications.group.collapse")}</Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

/** The name of a group as the facets have it. */
export function GroupTitle({ of: key, value }: { of: string; value: string }) {
  const t = useT();
  if (value === "") return <>{t("applications.facets.none")}</>;
  if (!closed[key]?.includes(value)) return <MiddleTruncate text={value} most={60} />;
  return (
    <span className={classes.groupTitle}>
      {key === "health" && <StatusIcon state={healthState(value.charAt(0).toUpperCase() + value.slice(1))} size={14} />}
      {key === "sync" && <StatusIcon state={syncStates[value] ?? "unknown"} size={14} />}
      {t(`applications.${key}.${value}` as MessageKey)}
    </span>
  );
}
