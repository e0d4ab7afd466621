import { Button, Checkbox, Menu, Radio, Stack, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../client";
import { useT } from "../../i18n";
import { Problem } from "../../problem";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Icon } from "../../ui/Icon";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { cli } from "../../ui/shell";
import { callerQuery, savedViewsQuery } from "./queries";
import { type Kept, kept, keptOf } from "./views";

function same(a: Kept, b: Kept): boolean {
  return kept.every((k) => a[k] === b[k]);
}

type Whose = "me" | "project" | "everyone";

function whoseOf(v: { project?: string; everyone?: boolean }): Whose {
  if (v.everyone === true) return "everyone";
  return v.project === undefined ? "me" : "project";
}

/** The same on the command line; it has no columns of labels. */
const flags: Partial<Record<(typeof kept)[number], string>> = {
  q: "--filter",
  sort: "--sort",
  cols: "--cols",
  group: "--group",
};
const whose = (of: Whose, project: string | undefined) =>
  of === "everyone" ? ["--everyone"] : of === "project" && project !== undefined ? ["--project", project] : [];

/** Views that somebody has saved, of his own and of projects; saves and forgets them. */
export function SavedViews({
  search,
  project,
  onChoose,
}: {
  search: Kept;
  /** The project that the page is narrowed to. */
  project: string | undefined;
  onChoose: (search: Kept) => void;
}) {
  const t = useT();
  const client = useQueryClient();
  const list = useQuery(savedViewsQuery());
  const [asking, setAsking] = useState<"save" | "delete">();
  const [name, setName] = useState("");
  const [of, setOf] = useState<Whose>("me");
  const [first, setFirst] = useState(false);
  const admin = useQuery(callerQuery).data?.admin === true;
  const all = list.data ?? [];
  const current =
    all.find((v) => same(keptOf(v.search), search) && (v.project === undefined || v.project === project)) ??
    all.find((v) => same(keptOf(v.search), search));
  const mine = all.filter((v) => v.project === undefined && v.everyone !== true);
  const everyones = all.filter((v) => v.everyone === true);
  const theirs = all.filter((v) => v.project !== undefined && (project === undefined || v.project === project));
  const close = () => setAsking(undefined);
  const read = () => client.invalidateQueries({ queryKey: savedViewsQuery().queryKey });
  const entry = (v: (typeof all)[number]) => (
    <Menu.Item
      key={v.id}
      leftSection={<Icon name={v === current ? "check" : "star"} size={12} />}
      onClick={() => onChoose(keptOf(v.search))}
    >
      <MiddleTruncate text={v.name} most={32} />
      {v.project !== undefined && project === undefined && <> · {plainLine(v.project)}</>}
      {v.default === true && <> · {t("applications.views.opens")}</>}
    </Menu.Item>
  );
  return (
    <>
      <Menu position="bottom-start" width={280} withInitialFocusPlaceholder={false}>
        <Menu.Target>
          <Button variant="default" leftSection={<Icon name="star" size={14} />}>
            {current === undefined ? t("applications.views") : plainLine(current.name.slice(0, 24))}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {list.isError && (
            <Menu.Label>
              <PlainText text={Problem.of(list.error).message} />
            </Menu.Label>
          )}
          {list.isSuccess && all.length === 0 && <Menu.Label>{t("applications.views.none")}</Menu.Label>}
          {mine.length > 0 && <Menu.Label>{t("applications.views.mine")}</Menu.Label>}
          {mine.map(entry)}
          {theirs.length > 0 && <Menu.Label>{t("applications.views.projects")}</Menu.Label>}
          {theirs.map(entry)}
          {everyones.length > 0 && <Menu.Label>{t("applications.views.everyones")}</Menu.Label>}
          {everyones.map(entry)}
          <Menu.Divider />
          <Menu.Item
            leftSection={<Icon name="plus" size={12} />}
            onClick={() => {
              setName(current?.name ?? "");
              setOf(current?.mayChange === true ? whoseOf(current) : "me");
              setFirst(current?.default === true);
              setAsking("save");
            }}
          >
            {t("applications.views.save")}
          </Menu.Item>
          {current?.mayChange && (
            <Menu.Item leftSection={<Icon name="trash" size={12} />} onClick={() => setAsking("delete")}>
              {t("applications.views.delete", { name: plainLine(current.name.slice(0, 24)) })}
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      {asking === "save" && (
        <ConfirmDialog
          title={t("applications.views.save")}
          action={t("applications.views.keep")}
          dangerous={false}
          disabled={name.trim() === ""}
          cli={cli(
            ...["hawser", "view", "save", name.trim() || "NAME"],
            ...whose(of, project),
            first && "--default",
            ...kept.flatMap((k) => (search[k] === undefined || flags[k] === undefined ? [] : [flags[k], search[k]])),
          )}
          onClose={close}
          onConfirm={async () => {
            await api.putSavedView({
              things: "applications",
              name: name.trim(),
              project: of === "project" ? project : undefined,
              everyone: of === "everyone" || undefined,
              default: first || undefined,
              search: { ...search },
            });
            await read();
          }}
        >
          <Stack gap="sm">
            <div>{t("applications.views.what")}</div>
            <TextInput
              label={t("applications.views.name")}
              value={name}
              maxLength={60}
              autoComplete="off"
              onChange={(e) => setName(e.currentTarget.value)}
            />
            {(project !== undefined || admin) && (
              <Radio.Group label={t("applications.views.of")} value={of} onChange={(v) => setOf(v as Whose)}>
                <Stack gap={6} mt={6}>
                  <Radio value="me" label={t("applications.views.me")} />
                  {project !== undefined && (
                    <Radio value="project" label={t("applications.views.project", { project: plainLine(project) })} />
                  )}
                  {admin && <Radio value="everyone" label={t("applications.views.everyone")} />}
                </Stack>
              </Radio.Group>
            )}
            <Checkbox
              label={t("applications.views.first")}
              checked={first}
              onChange={(e) => setFirst(e.currentTarget.checked)}
            />
          </Stack>
        </ConfirmDialog>
      )}
      {asking === "delete" && current !== undefined && (
        <ConfirmDialog
          title={t("applications.views.delete.title", { name: plainLine(current.name) })}
          action={t("applications.views.delete.action")}
          cli={cli("hawser", "view", "delete", current.name, ...whose(whoseOf(current), current.project))}
          onClose={close}
          onConfirm={async () => {
            await api.deleteSavedView(current.id);
            await read();
          }}
        >
          {current.everyone === true
            ? t("applications.views.delete.everyone")
            : current.project === undefined
              ? t("applications.views.delete.mine")
              : t("applications.views.delete.project", { project: plainLine(current.project) })}
        </ConfirmDialog>
      )}
    </>
  );
}
