import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { IdentityProvider } from "../../api/types";
import { api, Problem } from "../../client";
import { useFormat, useT } from "../../i18n";
import { providerSignInTest } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { CopyButton } from "../../ui/CopyButton";
import { Facts } from "../../ui/Facts";
import layout from "../../ui/layout.module.css";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText, SafeLink } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { cli } from "../../ui/shell";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import { ProviderDialog } from "./ProviderDialog";
import { providersQuery } from "./queries";
import { Failed } from "./Tokens";

/** OpenID Connect providers, and whether they answer as they should. */
export function Providers() {
  const t = useT();
  const client = useQueryClient();
  const providers = useQuery(providersQuery);
  const [editing, setEditing] = useState<IdentityProvider | "new">();
  const [deleting, setDeleting] = useState<IdentityProvider>();
  if (providers.isPending) return <LoadingView rows={5} />;
  if (providers.isError) return <ErrorView error={providers.error} onRetry={() => void providers.refetch()} />;
  const add = <Button onClick={() => setEditing("new")}>{t("settings.providers.new")}</Button>;
  return (
    <section aria-label={t("settings.providers")}>
      {providers.data.items.length === 0 ? (
        <EmptyView title={t("settings.providers.empty")} actions={add}>
          <p>{t("settings.providers.help")}</p>
          <CliLine command="hawser settings provider set corp --issuer https://idp.example.org --client-id hawser" />
        </EmptyView>
      ) : (
        <>
          <div className={layout.head}>
            <div>
              <h2>{t("settings.providers")}</h2>
              <p>{t("settings.providers.help")}</p>
            </div>
            {add}
          </div>
          <div className={layout.cards}>
            {providers.data.items.map((p) => (
              <Provider key={p.name} provider={p} onEdit={() => setEditing(p)} onDelete={() => setDeleting(p)} />
            ))}
          </div>
        </>
      )}
      {editing !== undefined && (
        <ProviderDialog provider={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} />
      )}
      {deleting !== undefined && (
        <ConfirmDialog
          title={t("settings.providers.delete.name", { name: plainLine(deleting.name) })}
          action={t("settings.providers.delete")}
          type={deleting.name}
          cli={cli("hawser", "settings", "provider", "delete", deleting.name)}
          onConfirm={async () => {
            await api.deleteIdentityProvider(deleting.name, { ifMatch: `"${deleting.version}"` });
            await client.invalidateQueries({ queryKey: providersQuery.queryKey });
          }}
          onClose={() => setDeleting(undefined)}
        >
          {t("settings.providers.delete.what")}
        </ConfirmDialog>
      )}
    </section>
  );
}

function Provider({
  provider: p,
  onEdit,
  onDelete,
}: {
  provider: IdentityProvider;
  onEdit: () => void;
  onDelete: () => void;
}) {
  const t = useT();
  const format = useFormat();
  const test = useMutation({ mutationFn: () => api.testIdentityProvider(p.name) });
  const list = (x: string[] | undefined) => ((x ?? []).length === 0 ? undefined : (x ?? []).join(", "));
  return (
    <section className={layout.card} aria-label={plainLine(p.name)}>
      <div className={layout.cardHead}>
        <h2>
          <MiddleTruncate text={p.name} />
        </h2>
        <span className={layout.rowButtons}>
          <Button
            variant="subtle"
            onClick={onEdit}
            aria-label={t("settings.providers.edit.name", { name: plainLine(p.name) })}
          >
            {t("settings.providers.edit")}
          </Button>
          <Button
            variant="subtle"
            color="red"
            onClick={onDelete}
            aria-label={t("settings.providers.delete.name", { name: plainLine(p.name) })}
          >
            {t("settings.providers.delete")}
          </Button>
        </span>
      </div>
      <Facts
        facts={[
          { name: t("settings.providers.issuer"), value: <SafeLink href={p.issuer} /> },
          { name: t("settings.providers.client"), value: <PlainText text={p.clientID} mono /> },
          {
            name: t("settings.providers.secret"),
            value: t(p.confidential ? "settings.providers.secret.set" : "settings.providers.secret.none"),
          },
          {
            name: t("settings.providers.redirect"),
            value: (
              <>
                <PlainText text={p.redirectURI} mono />{" "}
                <CopyButton value={p.redirectURI} name={t("settings.providers.redirect")} />
              </>
            ),
          },
          {
            name: t("settings.providers.user"),
            value: <Claim claim={p.userClaim || "email"} prefix={p.userPrefix} />,
          },
          {
            name: t("settings.providers.groups"),
            value: <Claim claim={p.groupsClaim || "groups"} prefix={p.groupsPrefix} />,
          },
          ...(list(p.allowedGroups)
            ? [
                {
                  name: t("settings.providers.allowedGroups"),
                  value: <PlainText text={list(p.allowedGroups) ?? ""} lines={4} />,
                },
              ]
            : []),
          ...(list(p.allowedDomains)
            ? [
                {
                  name: t("settings.providers.allowedDomains"),
                  value: <PlainText text={list(p.allowedDomains) ?? ""} lines={4} />,
                },
              ]
            : []),
          {
            name: t("settings.changed"),
            value: (
              <>
                <RelativeTime at={p.changedAt} /> <PlainText text={p.changedBy} />
              </>
            ),
          },
        ]}
      />
      <div className={layout.cardBody} aria-live="polite">
        <div className={layout.buttons} style={{ marginBottom: 8 }}>
          <Button variant="default" onClick={() => test.mutate()} loading={test.isPending}>
            {t("settings.providers.test")}
          </Button>
          <Button variant="default" component="a" href={providerSignInTest(p.name)}>
            {t("settings.signin.do")}
          </Button>
        </div>
        <p className={layout.help}>{t("settings.signin.what")}</p>
        {test.data !== undefined && (
          <div className={layout.form}>
            <PlainTable
              label={t("settings.providers.test")}
              rows={test.data.steps}
              rowKey={(s) => s.name}
              columns={[
                {
                  key: "name",
                  title: t("settings.providers.step"),
                  cell: (s) => (
                    <StatusText state={s.ok ? "healthy" : "degraded"}>
                      <PlainText text={s.name} />
                    </StatusText>
                  ),
                },
                {
                  key: "detail",
                  title: t("settings.providers.found"),
                  cell: (s) => (
                    <PlainText text={[s.detail, s.fix, s.id || s.code].filter(Boolean).join(" · ")} lines={6} />
                  ),
                },
                { key: "ms", title: t("settings.providers.ms"), number: true, cell: (s) => format.number(s.millis) },
              ]}
            />
            <strong className={test.data.ok ? undefined : layout.bad}>
              {t(test.data.ok ? "settings.providers.ok" : "settings.providers.failed")}
            </strong>
          </div>
        )}
        <Failed problem={test.isError ? Problem.of(test.error) : undefined} />
        <CliLine command={cli("hawser", "settings", "provider", "test", p.name)} />
      </div>
    </section>
  );
}

/** A claim, and what is put before what it says. */
function Claim({ claim, prefix }: { claim: string; prefix: string | undefined }) {
  const t = useT();
  return (
    <>
      <PlainText text={claim} mono />
      {prefix !== undefined && prefix !== "" && prefix !== "-" && (
        <span className={layout.dim}> {t("settings.providers.prefix", { prefix: plainLine(prefix) })}</span>
      )}
    </>
  );
}
