import { ActionIcon, VisuallyHidden } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useMatches, useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useState } from "react";
import { Problem, setHooks } from "../client";
import { useT } from "../i18n";
import { LiveProvider } from "../live";
import { paths } from "../routes/urls";
import { installChords, printed, useChord } from "../ui/chords";
import { Icon } from "../ui/Icon";
import { Logo } from "../ui/Logo";
import { usePreferences } from "../ui/preferences";
import { ErrorView, LoadingView } from "../ui/states";
import { toast } from "../ui/toast";
import classes from "./Frame.module.css";
import { HeaderButtons, type HeaderMenu } from "./HeaderButtons";
import { HubNotices, LivePill } from "./LivePill";
import { nav } from "./nav";
import { ProjectButton } from "./ProjectButton";
import { callerQuery } from "./queries";

// With menus comes what places them on the page, a fifth of the shell: it is loaded when
// somebody comes near their buttons, which are there from the beginning.
const loadProjectSwitch = () => import("./ProjectSwitch");
const loadHeaderMenus = () => import("./HeaderMenus");
const ProjectSwitch = lazy(loadProjectSwitch);
const HeaderMenus = lazy(loadHeaderMenus);
const near = (load: () => Promise<unknown>) => () => void load().catch(() => {}); // pressed, it is tried again
const Palette = lazy(() => import("./Palette"));
const ChordHelp = lazy(() => import("./ChordHelp"));
const ConfirmLogin = lazy(() => import("./ConfirmLogin"));

/** What stands around every page but the login. */
export function Frame({ children }: { children: ReactNode }) {
  const bare = useMatches({ select: (m) => m.some((x) => x.staticData.bare) });
  return bare ? children : <WithCaller>{children}</WithCaller>;
}

/** Asks who is logged in first: without somebody there is nothing to frame. */
function WithCaller({ children }: { children: ReactNode }) {
  const router = useRouter();
  const navigate = useNavigate();
  const [asking, setAsking] = useState<{ answer: (confirmed: boolean) => void }>();
  useEffect(
    () =>
      setHooks({
        loginNeeded: () => {
          const { pathname, href } = router.state.location;
          if (pathname !== paths.login) void navigate({ to: paths.login, search: { return: href }, replace: true });
        },
        confirmLogin: () => new Promise((answer) => setAsking({ answer })),
      }),
    [router, navigate],
  );
  const caller = useQuery(callerQuery);
  const answer = useCallback(
    (confirmed: boolean) => {
      asking?.answer(confirmed);
      setAsking(undefined);
    },
    [asking],
  );
  if (caller.isPending) return <LoadingView rows={12} />;
  if (caller.isError) {
    const problem = Problem.of(caller.error);
    if (problem.status === 401) return <LoadingView rows={0} />; // the login comes
    return <ErrorView error={problem} onRetry={() => void caller.refetch()} />;
  }
  return (
    <LiveProvider>
      <Shell
        name={caller.data.name}
        provider={caller.data.session?.provider}
        admin={caller.data.admin || caller.data.policyAdmin}
      >
        {children}
      </Shell>
      {asking !== undefined && (
        <Suspense>
          <ConfirmLogin caller={caller.data} onDone={answer} />
        </Suspense>
      )}
    </LiveProvider>
  );
}

function Shell({
  name,
  provider,
  admin,
  children,
}: {
  name: string;
  provider?: string;
  admin?: boolean;
  children: ReactNode;
}) {
  const t = useT();
  const look = usePreferences();
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [drawer, setDrawer] = useState(false);
  const collapsed = look.nav === "collapsed";
  useEffect(() => installChords(), []);
  const general = t("frame.chords.general");
  useChord("mod+k", t("frame.palette.open"), general, () => setPalette(true));
  useChord("?", t("frame.help.chords"), general, () => setHelp(true));
  useChord("c", t("frame.copyLink"), general, () => {
    // Everything chosen is in the address. Not there on pages that are not secure.
    const done = navigator.clipboard?.writeText(location.href) ?? Promise.reject(new Error("no clipboard"));
    done.then(
      () => toast(t("frame.copyLink.done")),
      () => toast(t("ui.copy.failed"), location.href),
    );
  });
  return (
    <div className={classes.frame} data-collapsed={collapsed || undefined} data-drawer={drawer || undefined}>
      <a className={classes.skip} href="#content">
        {t("frame.skip")}
      </a>
      <header className={classes.header}>
        <ActionIcon
          className={classes.burger}
          aria-label={t("frame.nav.open")}
          aria-expanded={drawer}
          onClick={() => setDrawer(!drawer)}
        >
          <Icon name="menu" />
        </ActionIcon>
        <Link to={paths.fleet} className={classes.brand} aria-label="Hawser">
          <Logo />
          <span>hawser</span>
        </Link>
        <Project />
        <button type="button" className={classes.search} onClick={() => setPalette(true)}>
          <VisuallyHidden>{t("frame.palette.open")}</VisuallyHidden>
          <Icon name="search" />
          <span className={classes.searchText} aria-hidden="true">
            {t("frame.palette.hint")}
          </span>
          <span className={classes.keys} aria-hidden="true">
            {printed("mod+k").map((k) => (
              <kbd key={k}>{k}</kbd>
            ))}
          </span>
        </button>
        <div className={classes.right}>
          <LivePill />
          <Menus name={name} provider={provider} admin={admin} onHelp={() => setHelp(true)} />
        </div>
      </header>
      <nav className={classes.nav} aria-label={t("frame.nav.label")}>
        {nav.map((group) => (
          <ul key={group[0]?.to}>
            {group.map((item) => (
              <li key={item.to}>
                <NavChord keys={item.keys} to={item.to} label={t(item.label)} group={t("frame.chords.go")} />
                <Link
                  to={item.to}
                  search={(old: { project?: string }) => ({ project: old.project })}
                  className={classes.link}
                  activeProps={{ className: classes.active, "aria-current": "page" }}
                  activeOptions={{ includeSearch: false }}
                  aria-label={t(item.label)}
                  title={collapsed ? t(item.label) : undefined}
                  onClick={() => setDrawer(false)}
                >
                  <Icon name={item.icon} />
                  <span>{t(item.label)}</span>
                </Link>
              </li>
            ))}
          </ul>
        ))}
        <button
          type="button"
          className={classes.collapse}
          onClick={() => look.set({ nav: collapsed ? "open" : "collapsed" })}
          aria-label={collapsed ? t("frame.nav.expand") : t("frame.nav.collapse")}
        >
          <Icon name={collapsed ? "expand" : "collapse"} />
          <span>{t("frame.nav.collapse")}</span>
        </button>
      </nav>
      {drawer && (
        <button
          type="button"
          className={classes.scrim}
          aria-label={t("frame.nav.close")}
          onClick={() => setDrawer(false)}
        />
      )}
      <main className={classes.main} id="content" tabIndex={-1}>
        <HubNotices />
        {children}
      </main>
      <Suspense>
        {palette && <Palette onClose={() => setPalette(false)} />}
        {help && <ChordHelp onClose={() => setHelp(false)} />}
      </Suspense>
    </div>
  );
}

function Project() {
  const { project } = useSearch({ strict: false }) as { project?: string };
  const [pressed, setPressed] = useState(false);
  const load = near(loadProjectSwitch);
  const button = (
    <ProjectButton
      project={project}
      aria-haspopup="listbox"
      aria-expanded={false}
      onPointerEnter={load}
      onFocus={load}
      onClick={() => setPressed(true)}
    />
  );
  return pressed ? (
    <Suspense fallback={button}>
      <ProjectSwitch />
    </Suspense>
  ) : (
    button
  );
}

function Menus(props: { name: string; provider?: string; admin?: boolean; onHelp: () => void }) {
  const [pressed, setPressed] = useState<HeaderMenu>();
  const buttons = <HeaderButtons name={props.name} onNear={near(loadHeaderMenus)} onPress={setPressed} />;
  return pressed === undefined ? (
    buttons
  ) : (
    <Suspense fallback={buttons}>
      <HeaderMenus first={pressed} {...props} />
    </Suspense>
  );
}

function NavChord({
  keys,
  to,
  label,
  group,
}: {
  keys: string;
  to: (typeof nav)[number][number]["to"];
  label: string;
  group: string;
}) {
  const navigate = useNavigate();
  useChord(
    keys,
    label,
    group,
    () => void navigate({ to, search: (old: { project?: string }) => ({ project: old.project }) } as never),
  );
  return null;
}
