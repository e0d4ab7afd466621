import { Button, Checkbox, TextInput } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import type { ObjectEvent, ObjectKey } from "../../../api/types";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { CliLine } from "../../../ui/CliLine";
import { useChord } from "../../../ui/chords";
import { type Column, DataTable } from "../../../ui/DataTable";
import { Icon } from "../../../ui/Icon";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { StatusText } from "../../../ui/StatusIcon";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, FilteredEmpty, LoadingView, PartialBanner } from "../../../ui/states";
import { objectFlags, objectText } from "../object";
import { periodOf } from "./axis";
import { EventAxis, useNow } from "./EventAxis";
import classes from "./Events.module.css";
import { filterEvents } from "./events";
import { useEvents } from "./useEvents";

const route = getRouteApi(paths.application);

/** What of the events is shown. */
interface Shown {
  q?: string;
  type?: "warning";
  during?: string;
}

/** Events of the cluster, the newest first; new ones come by themselves. */
export function EventList({ name, object }: { name: string; object?: ObjectKey }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const found = useEvents(name, object);
  const box = useRef<HTMLInputElement>(null);
  // The side sheet has a filter of its own, that of the page is in the address.
  const [own, setOwn] = useState<Shown>({});
  const shown: Shown = object === undefined ? { q: search.q, type: search.events, during: search.during } : own;
  const { q = "", type, during } = shown;
  const set = (change: Shown) => {
    if (object !== undefined) setOwn(change);
    else
      void navigate({
        search: (old) => ({ ...old, q: change.q || undefined, events: change.type, during: change.during }),
        replace: true,
      });
  };
  const now = useNow();
  const period = useMemo(() => periodOf(during, now), [during, now]);
  useChord("/", t("application.events.search"), t("application.tab.events"), () => box.current?.focus());
  const rows = useMemo(() => filterEvents(found.events, q, type, period), [found.events, q, type, period]);
  const columns = useMemo<Column<ObjectEvent>[]>(() => {
    const whole: Column<ObjectEvent>[] = [
      {
        id: "seen",
        title: t("application.events.seen"),
        width: 64,
        cell: (e) => <RelativeTime at={e.lastSeen ?? e.firstSeen ?? ""} short />,
      },
      {
        id: "reason",
        title: t("application.events.reason"),
        width: 160,
        always: true,
        cell: (e) =>
          e.type === "Warning" ? (
            <StatusText state="degraded">
              <PlainText text={e.reason ?? e.type} />
            </StatusText>
          ) : (
            <PlainText text={e.reason ?? e.type} />
          ),
      },
      {
        id: "object",
        title: t("application.events.object"),
        width: 180,
        grow: 1,
        cell: (e) => (
          <Link
            to={paths.application}
            params={{ application: name }}
            search={(old) => ({ ...old, sel: objectText(e.object), sheet: "events" })}
            from={paths.application}
          >
            <MiddleTruncate text={`${e.object.kind}/${e.object.name}`} most={40} />
          </Link>
        ),
      },
      {
        id: "message",
        title: t("application.resources.message"),
        width: 200,
        grow: 3,
        always: true,
        cell: (e) => <PlainText text={e.message ?? ""} />,
      },
      {
        id: "count",
        title: t("application.events.count"),
        width: 64,
        number: true,
        cell: (e) => (e.count > 1 ? `×${e.count}` : ""),
      },
      {
        id: "source",
        title: t("application.events.source"),
        width: 150,
        cell: (e) => <PlainText text={e.source ?? ""} />,
      },
    ];
    return object === undefined ? whole : whole.filter((c) => c.id !== "object" && c.id !== "source");
  }, [t, name, object]);
  const [opened, setOpened] = useState<ObjectEvent>();
  const command = cli(
    ...["hawser", "app", "events", name],
    ...(object === undefined ? [] : objectFlags(object)),
    "--follow",
  );
  if (found.phase === "connecting" && found.events.length === 0) return <LoadingView />;
  if (found.problem !== undefined && found.events.length === 0)
    return <ErrorView error={found.problem} onRetry={found.again} />;
  return (
    <div className={classes.events}>
      {found.phase === "ended" && (
        <PartialBanner
          action={
            <Button variant="default" size="compact-xs" onClick={found.again}>
              {t("application.events.again")}
            </Button>
          }
        >
          {t("application.events.ended")}{" "}
          {found.problem !== undefined && found.problem.message !== "" && <PlainText text={found.problem.message} />}
        </PartialBanner>
      )}
      <search className={classes.toolbar}>
        <TextInput
          ref={box}
          className={classes.search}
          aria-label={t("application.events.search")}
          placeholder={t("application.events.search")}
          leftSection={<Icon name="search" size={14} />}
          value={q}
          onChange={(e) => set({ ...shown, q: e.currentTarget.value })}
          spellCheck={false}
        />
        <Checkbox
          label={t("application.events.warnings")}
          checked={type === "warning"}
          onChange={(e) => set({ ...shown, type: e.currentTarget.checked ? "warning" : undefined })}
        />
        <span className={classes.dim} role="status">
          {t("application.events.shown", { n: rows.length, total: found.events.length })}
        </span>
      </search>
      {object === undefined && found.events.length > 0 && (
        <EventAxis
          name={name}
          events={found.events}
          during={during}
          period={period}
          onDuring={(next) => set({ ...shown, during: next })}
        />
      )}
      {found.events.length === 0 ? (
        <EmptyView title={t("application.events.none")} actions={<CliLine command={command} />}>
          <p>{t("application.events.noneBody")}</p>
        </EmptyView>
      ) : rows.length === 0 ? (
        <FilteredEmpty
          total={found.events.length}
          drop={
            q !== "" && (type !== undefined || period !== undefined)
              ? { term: q, leaves: filterEvents(found.events, "", type, period).length }
              : undefined
          }
          onDrop={() => set({ ...shown, q: undefined })}
          onClear={() => set({})}
        />
      ) : (
        <DataTable
          label={t("application.tab.events")}
          columns={columns}
          rows={rows}
          rowKey={(e) => e.uid}
          current={opened?.uid}
          onOpen={(e) => setOpened(opened?.uid === e.uid ? undefined : e)}
        />
      )}
      {opened !== undefined && rows.some((e) => e.uid === opened.uid) && (
        <section className={classes.opened} aria-label={t("application.resources.message")}>
          <strong>
            <PlainText text={`${opened.reason ?? opened.type} · ${opened.object.kind}/${opened.object.name}`} />
          </strong>
          <PlainText text={opened.message ?? ""} lines={12} />
          <span className={classes.dim}>
            <PlainText text={[opened.source, opened.field].filter(Boolean).join(" · ")} />{" "}
            {opened.firstSeen !== undefined && (
              <>
                {t("application.events.first")} <RelativeTime at={opened.firstSeen} />
              </>
            )}
          </span>
        </section>
      )}
    </div>
  );
}
