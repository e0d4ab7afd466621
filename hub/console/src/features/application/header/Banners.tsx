import type { AppView } from "../../../api/types";
import { useT } from "../../../i18n";
import { PlainText } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { PartialBanner } from "../../../ui/states";
import { isStale } from "../facets";

/** What one has to know before one reads the rest: it is old, it is being deleted, it is pinned. */
export function Banners({ app }: { app: AppView }) {
  const t = useT();
  return (
    <>
      {isStale(app.freshness) && (
        <PartialBanner>
          {app.observedAt === undefined ? (
            t("application.banner.never", { cluster: app.cluster })
          ) : (
            <>
              {t("application.banner.stale", { cluster: app.cluster })} <RelativeTime at={app.observedAt} />
            </>
          )}
        </PartialBanner>
      )}
      {app.deleting && <PartialBanner>{t("application.banner.deleting")}</PartialBanner>}
      {app.pin !== undefined && (
        <PartialBanner>
          {t("application.banner.pinned", {
            revision: app.pin.revision.commit.slice(0, 7),
            by: app.pin.initiatedBy ?? "",
            has: app.pin.initiatedBy === undefined ? "no" : "yes",
          })}{" "}
          {app.pin.reason !== undefined && app.pin.reason !== "" && <PlainText text={app.pin.reason} />}
        </PartialBanner>
      )}
    </>
  );
}
