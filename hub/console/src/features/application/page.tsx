import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Suspense, useEffect } from "react";
import { useT } from "../../i18n";
import { useLive } from "../../live";
import { paths } from "../../routes/urls";
import { useChord } from "../../ui/chords";
import { useCurrentTab } from "../../ui/currentTab";
import { Page } from "../../ui/Page";
import { MiddleTruncate } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { WithSheet } from "../../ui/SideSheet";
import { ErrorView, LoadingView } from "../../ui/states";
import { Actions } from "./header/Actions";
import { Banners } from "./header/Banners";
import { Facets } from "./header/Facets";
import { NeighbourLinks } from "./header/NeighbourLinks";
import { objectOf } from "./object";
import classes from "./page.module.css";
import { applicationQuery } from "./queries";
import { ObjectSheet } from "./sheet/ObjectSheet";
import { type ApplicationTab, panels, preloadTabs, tabOf, tabs } from "./tabs";

const route = getRouteApi(paths.application);

/** Page of one application: what it is like now, what can be done, and the tabs. */
export function ApplicationPage() {
  const t = useT();
  const { application: name } = route.useParams();
  const search = route.useSearch();
  const client = useQueryClient();
  const app = useQuery(applicationQuery(name));
  const cluster = app.data?.cluster;
  // Whether what is shown is of now depends on the agent, too.
  useLive(["cluster"], (events) => {
    if (events.some((e) => (e.data as { name?: unknown } | null)?.name === cluster))
      void client.invalidateQueries({ queryKey: applicationQuery(name).queryKey, exact: true });
  });
  useEffect(preloadTabs, []);
  const tab = tabOf(search.tab);
  const Tab = tab.component;
  const strip = useCurrentTab<HTMLElement>();
  const object = search.sheet === undefined ? undefined : objectOf(search.sel);
  const Panel = panels.find((x) => x.id === search.panel)?.component;
  return (
    <Page
      title={plainLine(name)}
      heading={<MiddleTruncate text={name} most={60} />}
      crumbs={
        <span className={classes.crumbs}>
          <Link to={paths.applications} search={{ project: search.project, q: search.in, sort: search.order }}>
            {t("applications.title")}
          </Link>
          {app.data !== undefined && (
            <>
              <span aria-hidden="true">/</span>
              <Link to={paths.project} params={{ project: app.data.project }} search={{ project: search.project }}>
                <MiddleTruncate text={app.data.project} />
              </Link>
              <span aria-hidden="true">·</span>
              <span>
                {t("application.on")}{" "}
                <Link to={paths.cluster} params={{ cluster: app.data.cluster }} search={{ project: search.project }}>
                  <MiddleTruncate text={app.data.cluster} />
                </Link>
              </span>
            </>
          )}
          <NeighbourLinks name={name} />
        </span>
      }
      status={app.data !== undefined && <Facets app={app.data} />}
      actions={app.data !== undefined && <Actions app={app.data} />}
      fill
    >
      {app.data !== undefined && <Banners app={app.data} />}
      <nav ref={strip} className={classes.tabs} aria-label={t("application.tabs")}>
        {tabs.map((x) => (
          <TabLink
            key={x.id}
            tab={x}
            name={name}
            project={app.data?.project}
            count={app.data && x.count?.(app.data)}
            current={x === tab}
          />
        ))}
      </nav>
      {app.isPending ? (
        <LoadingView />
      ) : app.data === undefined ? (
        <ErrorView error={app.error} onRetry={() => void app.refetch()} />
      ) : (
        <WithSheet
          sheet={
            Panel !== undefined ? (
              <Suspense>
                <Panel key={name} name={name} />
              </Suspense>
            ) : (
              object !== undefined && <ObjectSheet name={name} object={object} />
            )
          }
        >
          <div className={tab.fill ? classes.fill : classes.scroll}>
            <Suspense fallback={<LoadingView />}>
              <Tab key={name} name={name} />
            </Suspense>
          </div>
        </WithSheet>
      )}
    </Page>
  );
}

function TabLink({
  tab,
  name,
  project,
  count,
  current,
}: {
  tab: ApplicationTab;
  name: string;
  project?: string;
  count?: number;
  current: boolean;
}) {
  const t = useT();
  const navigate = route.useNavigate();
  const title = t(tab.title);
  const open = () => void navigate({ search: (old) => toTab(old, tab) });
  const needs =
    tab.needs === undefined || project === undefined ? undefined : { ...tab.needs, object: `${project}/${name}` };
  useChord(tab.chord ?? "", title, t("application.tabs"), open, true, needs);
  return (
    <Link
      to={paths.application}
      params={{ application: name }}
      search={(old) => toTab(old as Search, tab)}
      className={classes.tab}
      aria-current={current ? "page" : undefined}
      activeOptions={exactly}
    >
      {title}
      {count !== undefined && count > 0 && <span className={classes.count}>{count}</span>}
    </Link>
  );
}

// A link without a tab is not that of every tab.
const exactly = { exact: true, includeSearch: true };

type Search = ReturnType<typeof route.useSearch>;

/** Another tab, of the same object and list; how the objects are shown is kept. */
function toTab(old: Search, tab: ApplicationTab): Search {
  return {
    project: old.project,
    in: old.in,
    order: old.order,
    sel: old.sel,
    view: old.view,
    group: old.group,
    tab: tab === tabs[0] ? undefined : tab.id,
  };
}
