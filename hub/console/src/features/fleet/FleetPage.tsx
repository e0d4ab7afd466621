import { useQuery } from "@tanstack/react-query";
import { useFormat, useT } from "../../i18n";
import { Facts } from "../../ui/Facts";
import { Page } from "../../ui/Page";
import { StatusText } from "../../ui/StatusIcon";
import { ErrorView, LoadingView, PartialBanner } from "../../ui/states";
import { summaryQuery } from "./queries";

export function FleetPage() {
  const t = useT();
  const format = useFormat();
  const summary = useQuery(summaryQuery);
  if (summary.isPending)
    return (
      <Page title={t("fleet.title")}>
        <LoadingView rows={6} />
      </Page>
    );
  if (summary.isError)
    return (
      <Page title={t("fleet.title")}>
        <ErrorView error={summary.error} onRetry={() => void summary.refetch()} />
      </Page>
    );
  const { clusters, applications, asOf, away } = summary.data;
  return (
    <Page title={t("fleet.title")}>
      {away === true && <PartialBanner>{t("fleet.away", { time: format.time(asOf) })}</PartialBanner>}
      <Facts
        facts={[
          {
            name: t("fleet.clusters"),
            value: t("fleet.reporting", { reporting: clusters.reporting, total: clusters.total }),
          },
          { name: t("fleet.applications"), value: format.number(applications.total) },
          {
            name: t("fleet.healthy"),
            value: <StatusText state="healthy">{format.number(applications.health.healthy ?? 0)}</StatusText>,
          },
          {
            name: t("fleet.degraded"),
            value: <StatusText state="degraded">{format.number(applications.health.degraded ?? 0)}</StatusText>,
          },
          {
            name: t("fleet.stale"),
            value: <StatusText state="unknown">{format.number(applications.stale + applications.never)}</StatusText>,
          },
        ]}
      />
    </Page>
  );
}
