import { getRouteApi, Link } from "@tanstack/react-router";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { Page } from "../../ui/Page";
import { TabBar, tabClass } from "../../ui/TabBar";
import { Accounts } from "./Accounts";
import { Customizations } from "./Customizations";
import { GpgKeys } from "./GpgKeys";
import { Health } from "./Health";
import { Providers } from "./Providers";
import { Rbac } from "./Rbac";
import { Sessions } from "./Sessions";
import { SignInResult } from "./SignInResult";
import { Tokens } from "./Tokens";

const route = getRouteApi(paths.settings);

const tabs = ["health", "tokens", "accounts", "sessions", "providers", "rbac", "customizations", "gpg"] as const;

/** Settings of the hub, a tab for each. */
export function SettingsPage() {
  const t = useT();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const tab = tabs.find((x) => x === search.tab) ?? "health";
  return (
    <Page title={t("settings.title")}>
      <TabBar label={t("settings.tabs")}>
        {tabs.map((x) => (
          <Link
            key={x}
            to={paths.settings}
            search={{ project: search.project, tab: x === "health" ? undefined : x }}
            className={tabClass}
            activeOptions={{ includeSearch: true, explicitUndefined: true }}
            aria-current={x === tab ? "page" : undefined}
          >
            {t(`settings.${x}`)}
          </Link>
        ))}
      </TabBar>
      {tab === "health" && <Health project={search.project} />}
      {tab === "tokens" && <Tokens />}
      {tab === "accounts" && <Accounts />}
      {tab === "sessions" && (
        <Sessions
          all={search.whose === "all"}
          onAll={(all) => void navigate({ search: (old) => ({ ...old, whose: all ? "all" : undefined }) })}
        />
      )}
      {tab === "providers" && search.signin !== undefined && search.provider !== undefined && (
        <SignInResult
          provider={search.provider}
          code={search.signin}
          onClose={() => void navigate({ search: (old) => ({ ...old, signin: undefined, provider: undefined }) })}
        />
      )}
      {tab === "providers" && <Providers />}
      {tab === "rbac" && <Rbac />}
      {tab === "customizations" && <Customizations />}
      {tab === "gpg" && <GpgKeys />}
    </Page>
  );
}
