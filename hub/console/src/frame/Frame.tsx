import { ActionIcon, Button, Menu, Tooltip, VisuallyHidden } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useMatches, useNavigate, useRouter } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useState } from "react";
import { api, Problem, setHooks } from "../client";
import { locales, useLocale, useT } from "../i18n";
import { LiveProvider } from "../live";
import { apiDocs, paths } from "../routes/urls";
import { installChords, printed, useChord } from "../ui/chords";
import { Icon } from "../ui/Icon";
import { plainLine } from "../ui/plain";
import { contrasts, densities, schemes, usePreferences } from "../ui/preferences";
import { ErrorView, LoadingView } from "../ui/states";
import classes from "./Frame.module.css";
import { HubNotices, LivePill } from "./LivePill";
import { nav } from "./nav";
import { ProjectSwitch } from "./ProjectSwitch";
import { callerQuery } from "./queries";

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
          <Anchor />
          <span>hawser</span>
        </Link>
        <ProjectSwitch />
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
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon aria-label={t("frame.help")} className={classes.wideOnly}>
                <Icon name="help" />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => setHelp(true)} rightSection={<kbd className={classes.kbd}>?</kbd>}>
                {t("frame.help.chords")}
              </Menu.Item>
              <Menu.Item component="a" href={apiDocs} target="_blank" rel="noopener">
                {t("frame.help.api")}
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
          <LookMenu />
          <UserMenu name={name} provider={provider} admin={admin} onHelp={() => setHelp(true)} />
        </div>
      </header>
      <nav className={classes.nav} aria-label={t("frame.nav.label")}>
        {nav.map((group) => (
          <ul key={group[0]?.to}>
            {group.map((item) => (
              <li key={item.to}>
                <NavChord keys={item.keys} to={item.to} label={t(item.label)} group={t("frame.chords.go")} />
                <Tooltip label={t(item.label)} position="right" disabled={!collapsed}>
                  <Link
                    to={item.to}
                    search={(old: { project?: string }) => ({ project: old.project })}
                    className={classes.link}
                    activeProps={{ className: classes.active, "aria-current": "page" }}
                    activeOptions={{ includeSearch: false }}
                    aria-label={t(item.label)}
                    onClick={() => setDrawer(false)}
                  >
                    <Icon name={item.icon} />
                    <span>{t(item.label)}</span>
                  </Link>
                </Tooltip>
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

function LookMenu() {
  const t = useT();
  const look = usePreferences();
  const [locale, setLocale] = useLocale();
  return (
    <Menu position="bottom-end" closeOnItemClick={false} width={220}>
      <Menu.Target>
        <ActionIcon aria-label={t("frame.look")}>
          <Icon name="theme" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t("frame.look.scheme")}</Menu.Label>
        <Choice
          values={schemes}
          value={look.scheme}
          onChange={look.setScheme}
          label={(s) => t(`frame.look.scheme.${s}`)}
        />
        <Menu.Label>{t("frame.look.contrast")}</Menu.Label>
        <Choice
          values={contrasts}
          value={look.contrast}
          onChange={(contrast) => look.set({ contrast })}
          label={(c) => t(`frame.look.contrast.${c}`)}
        />
        <Menu.Label>{t("frame.look.density")}</Menu.Label>
        <Choice
          values={densities}
          value={look.density}
          onChange={(density) => look.set({ density })}
          label={(d) => t(`frame.look.density.${d}`)}
        />
        <Menu.Label>{t("frame.look.language")}</Menu.Label>
        <Choice values={locales} value={locale} onChange={setLocale} label={(l) => t(`frame.language.${l}`)} />
      </Menu.Dropdown>
    </Menu>
  );
}

function Choice<V extends string>({
  values,
  value,
  onChange,
  label,
}: {
  values: readonly V[];
  value: V;
  onChange: (v: V) => void;
  label: (v: V) => string;
}) {
  return values.map((v) => (
    <Menu.Item
      key={v}
      role="menuitemradio"
      aria-checked={v === value}
      onClick={() => onChange(v)}
      leftSection={<span className={classes.tick}>{v === value && <Icon name="check" size={14} />}</span>}
    >
      {label(v)}
    </Menu.Item>
  ));
}

function UserMenu({
  name,
  provider,
  admin,
  onHelp,
}: {
  name: string;
  provider?: string;
  admin?: boolean;
  onHelp: () => void;
}) {
  const t = useT();
  const [busy, setBusy] = useState(false);
  const shown = plainLine(name);
  const logout = async () => {
    setBusy(true);
    try {
      await api.logout();
    } catch (e) {
      if (Problem.of(e).status !== 401) {
        setBusy(false);
        const { toastProblem } = await import("../ui/toast");
        toastProblem(t, e);
        return;
      }
    }
    // A whole new page: nothing of what was seen stays in memory.
    window.location.assign(paths.login);
  };
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <Button variant="subtle" color="gray" className={classes.user}>
          <VisuallyHidden>{t("frame.user.menu", { name: shown })}</VisuallyHidden>
          <span aria-hidden="true">{initials(shown)}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <div className={classes.who}>
          <bdi>{shown}</bdi>
          <span>
            {provider === undefined ? t("frame.user.token") : t("frame.user.from", { provider })}
            {admin === true && ` · ${t("frame.user.admin")}`}
          </span>
        </div>
        <Menu.Divider />
        <Menu.Item onClick={onHelp} leftSection={<Icon name="help" />}>
          {t("frame.help.chords")}
        </Menu.Item>
        <Menu.Item onClick={() => void logout()} disabled={busy} leftSection={<Icon name="logout" />}>
          {t("frame.user.logout")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function initials(name: string): string {
  const parts = name
    .replace(/@.*$/, "")
    .split(/[\s._-]+/)
    .filter(Boolean);
  const first = Array.from(parts[0] ?? "?")[0] ?? "?";
  const last =
    parts.length > 1 ? (Array.from(parts[parts.length - 1] ?? "")[0] ?? "") : (Array.from(parts[0] ?? "")[1] ?? "");
  return (first + last).toUpperCase();
}

function Anchor() {
  return (
    <svg
      width="18"
      height="18"
      viewBox="0 0 32 32"
      fill="none"
      stroke="currentColor"
      strokeWidth="3"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <circle cx="16" cy="6.500" r="3.300" />
      <path d="M16 10v18M9.500 14.500h13M4 19.500c.8 5.400 5.800 8.500 12 8.500s11.200-3.100 12-8.500" />
    </svg>
  );
}
