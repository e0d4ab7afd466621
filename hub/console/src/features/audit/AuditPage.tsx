import { Button, Menu, Select, TextInput } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo } from "react";
import type { AuditRecord } from "../../api/types";
import { Problem } from "../../client";
import { type MessageKey, useT } from "../../i18n";
import { auditExport, paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { type Column, DataTable } from "../../ui/DataTable";
import { FilterInput } from "../../ui/FilterInput";
import { Icon } from "../../ui/Icon";
import layout from "../../ui/layout.module.css";
import { Page } from "../../ui/Page";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { WithSheet } from "../../ui/SideSheet";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import { auditCommand, auditQueryOf, filterKeys, kinds, outcomes, ranges, texts } from "./filter";
import { Outcome } from "./Outcome";
import { auditDropQuery, auditQuery } from "./queries";
import { RecordSheet } from "./RecordSheet";

const route = getRouteApi(paths.audit);

/** What was done and what was refused, newest first. The filter is the URL. */
export function AuditPage() {
  const t = useT();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { sel, ...filter } = search;
  const list = useInfiniteQuery(auditQuery(filter));
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.items) ?? [], [list.data]);
  const set = useCallback(
    (next: Record<string, string | undefined>) =>
      void navigate({ search: (old) => ({ ...old, ...next }), replace: !("sel" in next) }),
    [navigate],
  );
  const used = filterKeys.filter((k) => search[k] !== undefined);
  const problem = list.isError ? Problem.of(list.error) : undefined;
  const mistaken = problem?.status === 400 && used.length > 0;
  const record = sel === undefined ? undefined : rows.find((r) => String(r.seq) === sel);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  // A linked record may be further down: records come in order, so it is known when it was passed.
  const oldest = rows.at(-1)?.seq;
  const searching =
    sel !== undefined && record === undefined && hasNextPage && oldest !== undefined && Number(sel) < oldest;
  useEffect(() => {
    if (searching && rows.length < 4000) more();
  }, [searching, rows.length, more]);
  const drop = useQuery({
    ...auditDropQuery(filter),
    enabled: list.isSuccess && rows.length === 0 && used.length > 0,
  });
  const columns = useMemo(
    (): Column<AuditRecord>[] => [
      { id: "at", title: t("audit.at"), width: 150, cell: (r) => <RelativeTime at={r.at} /> },
      {
        id: "actor",
        title: t("audit.actor"),
        width: 140,
        grow: 1,
        cell: (r) => <MiddleTruncate text={r.actor || t("audit.nobody")} />,
      },
      {
        id: "action",
        title: t("audit.action"),
        width: 170,
        grow: 1,
        always: true,
        cell: (r) => (
          <>
            <PlainText text={r.action} mono />
            {r.dryRun && <span className={layout.dim}> {t("audit.dryRun")}</span>}
          </>
        ),
      },
      {
        id: "on",
        title: t("audit.name"),
        width: 200,
        grow: 2,
        cell: (r) => <PlainText text={[r.resource, r.project, r.name].filter(Boolean).join(" / ")} />,
      },
      {
        id: "cluster",
        title: t("audit.cluster"),
        width: 160,
        cell: (r) => <MiddleTruncate text={r.cluster ?? ""} most={16} />,
      },
      { id: "outcome", title: t("audit.outcome"), width: 130, cell: (r) => <Outcome record={r} /> },
      { id: "from", title: t("audit.from"), width: 130, cell: (r) => <PlainText text={r.from ?? ""} /> },
    ],
    [t],
  );
  const clear = () => set(Object.fromEntries(filterKeys.map((k) => [k, undefined])));
  return (
    <Page
      title={t("audit.title")}
      actions={
        !problem?.isDenied && (
          <Menu position="bottom-end" width={340}>
            <Menu.Target>
              <Button variant="default" leftSection={<Icon name="download" size={14} />}>
                {t("audit.export")}
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item component="a" href={auditExport(auditQueryOf(filter, new Date()))} download="audit.jsonl">
                {t("audit.export.shown")}
              </Menu.Item>
              <Menu.Item component="a" href={auditExport({})} download="audit.jsonl">
                {t("audit.export.all")}
              </Menu.Item>
              <Menu.Label>{t("audit.export.verify")}</Menu.Label>
              <div style={{ padding: "0 8px 8px" }}>
                <CliLine command="hawser audit verify audit.jsonl" />
              </div>
            </Menu.Dropdown>
          </Menu>
        )
      }
    >
      <div className={layout.bar}>
        {texts.slice(0, 5).map((k) => (
          <FilterInput
            key={k}
            className={layout.narrow}
            value={search[k] ?? ""}
            onChange={(v) => set({ [k]: v })}
            label={t(`audit.filter.${k}`)}
            placeholder={t(`audit.filter.${k}`)}
            problem={mistaken && problem?.field === (k === "in" ? "project" : k) ? problem.message : undefined}
          />
        ))}
        <Choice name="outcome" values={outcomes} value={search.outcome} onChange={set} />
        <Choice name="kind" values={kinds} value={search.kind} onChange={set} />
        <Choice
          name="since"
          values={ranges}
          value={search.since}
          onChange={(next) => set({ ...next, from: undefined, to: undefined })}
        />
        <TextInput
          type="date"
          leftSection={<span aria-hidden="true">{t("audit.filter.from.short")}</span>}
          leftSectionWidth={44}
          aria-label={t("audit.filter.from")}
          value={search.from ?? ""}
          max={search.to}
          onChange={(e) => set({ from: e.currentTarget.value || undefined, since: undefined })}
        />
        <TextInput
          type="date"
          leftSection={<span aria-hidden="true">{t("audit.filter.to.short")}</span>}
          leftSectionWidth={44}
          aria-label={t("audit.filter.to")}
          value={search.to ?? ""}
          min={search.from}
          onChange={(e) => set({ to: e.currentTarget.value || undefined, since: undefined })}
        />
        {(["cluster", "request", "operation"] as const)
          .filter((k) => search[k] !== undefined)
          .map((k) => (
            <Button
              key={k}
              variant="default"
              rightSection={<Icon name="close" size={12} />}
              onClick={() => set({ [k]: undefined })}
              aria-label={t("audit.filter.drop", { term: `${t(`audit.filter.${k}`)} ${plainLine(search[k] ?? "")}` })}
            >
              {t(`audit.filter.${k}`)}: <MiddleTruncate text={search[k] ?? ""} most={16} />
            </Button>
          ))}
        {used.length > 0 && (
          <Button variant="subtle" onClick={clear}>
            {t("ui.filteredEmpty.clear")}
          </Button>
        )}
        <span className={layout.end}>
          {list.isFetching && !list.isPending ? t("ui.loading") : t("audit.loaded", { n: rows.length })}
          {hasNextPage && " +"}
        </span>
      </div>
      {list.isPending ? (
        <LoadingView />
      ) : problem !== undefined && rows.length === 0 ? (
        <ErrorView error={problem} onRetry={mistaken ? undefined : () => void list.refetch()} />
      ) : rows.length === 0 ? (
        used.length === 0 ? (
          <EmptyView title={t("audit.empty")}>
            <p>{t("audit.empty.what")}</p>
            <CliLine command={auditCommand(filter, "list")} />
          </EmptyView>
        ) : (
          <EmptyView
            title={t("audit.filteredEmpty")}
            actions={
              <>
                {drop.data?.map((k) => (
                  <Button key={k} variant="default" onClick={() => set({ [k]: undefined })}>
                    {t("audit.filter.drop", { term: `${t(`audit.filter.${k}`)} ${plainLine(search[k] ?? "")}` })}
                  </Button>
                ))}
                <Button variant="default" onClick={clear}>
                  {t("ui.filteredEmpty.clear")}
                </Button>
              </>
            }
          />
        )
      ) : (
        <WithSheet
          sheet={
            sel !== undefined && (
              <RecordSheet
                seq={sel}
                record={record}
                searching={searching}
                onFilter={(next) => set({ ...next, sel: undefined })}
                onClose={() => set({ sel: undefined })}
              />
            )
          }
        >
          <div className={layout.table}>
            <DataTable
              label={t("audit.title")}
              columns={columns}
              rows={rows}
              rowKey={(r) => String(r.seq)}
              total={hasNextPage ? rows.length + 1 : rows.length}
              onMore={more}
              loadingMore={isFetchingNextPage}
              onOpen={(r) => set({ sel: String(r.seq) })}
              current={sel}
            />
          </div>
        </WithSheet>
      )}
      <div className={layout.section}>
        <CliLine command={auditCommand(filter, "list")} />
      </div>
    </Page>
  );
}

function Choice({
  name,
  values,
  value,
  onChange,
}: {
  name: "outcome" | "kind" | "since";
  values: readonly string[];
  value: string | undefined;
  onChange: (next: Record<string, string | undefined>) => void;
}) {
  const t = useT();
  return (
    <Select
      className={layout.narrow}
      aria-label={t(`audit.filter.${name}`)}
      placeholder={t(`audit.filter.${name}`)}
      data={values.map((v) => ({ value: v, label: t(`audit.${name}.${v}` as MessageKey) }))}
      value={value ?? null}
      onChange={(v) => onChange({ [name]: v ?? undefined })}
      clearable
      clearButtonProps={{ "aria-label": t("audit.filter.drop", { term: t(`audit.filter.${name}`) }) }}
    />
  );
}
