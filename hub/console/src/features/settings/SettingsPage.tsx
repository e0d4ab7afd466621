import { useQuery } from "@tanstack/react-query";
import { useT } from "../../i18n";
import { CopyButton } from "../../ui/CopyButton";
import { Facts } from "../../ui/Facts";
import { Page } from "../../ui/Page";
import { ErrorView, LoadingView } from "../../ui/states";
import { hubQuery } from "./queries";

export function SettingsPage() {
  const t = useT();
  const hub = useQuery(hubQuery);
  return (
    <Page title={t("settings.title")}>
      {hub.isPending ? (
        <LoadingView rows={3} />
      ) : hub.isError ? (
        <ErrorView error={hub.error} onRetry={() => void hub.refetch()} />
      ) : (
        <Facts
          facts={[
            { name: t("settings.version"), value: hub.data.version },
            {
              name: t("settings.hubID"),
              value: (
                <>
                  <code>{hub.data.hubID}</code> <CopyButton value={hub.data.hubID} name={t("settings.hubID")} />
                </>
              ),
            },
            {
              name: t("settings.deletes"),
              value: hub.data.holdDeletes ? t("settings.deletes.held") : t("settings.deletes.allowed"),
            },
          ]}
        />
      )}
    </Page>
  );
}
