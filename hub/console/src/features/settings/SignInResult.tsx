import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { SignInTest } from "../../api/types";
import { type MessageKey, useFormat, useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { Facts } from "../../ui/Facts";
import layout from "../../ui/layout.module.css";
import { PlainTable } from "../../ui/PlainTable";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { cli } from "../../ui/shell";
import { ErrorView, LoadingView } from "../../ui/states";
import { signInQuery } from "./queries";

const steps: Record<string, MessageKey> = {
  answer: "settings.signin.step.answer",
  code: "settings.signin.step.code",
  token: "settings.signin.step.token",
  name: "settings.signin.step.name",
  domain: "settings.signin.step.domain",
  groups: "settings.signin.step.groups",
  members: "settings.signin.step.members",
};

/** What became of a login that was a test: each step, what the provider said, and who that would be. */
export function SignInResult({ provider, code, onClose }: { provider: string; code: string; onClose: () => void }) {
  const t = useT();
  const test = useQuery(signInQuery(provider, code));
  return (
    <section className={layout.card} style={{ margin: "16px 20px 0" }} aria-label={t("settings.signin.result")}>
      <div className={layout.cardHead}>
        <h2>{t("settings.signin.of", { name: plainLine(provider) })}</h2>
        <Button variant="default" onClick={onClose}>
          {t("ui.close")}
        </Button>
      </div>
      {test.isPending ? (
        <LoadingView rows={5} />
      ) : test.isError ? (
        <ErrorView error={test.error} onRetry={() => void test.refetch()} />
      ) : (
        <Result test={test.data} />
      )}
      <div className={layout.cardBody}>
        <CliLine command={cli("hawser", "settings", "provider", "test", provider, "--sign-in")} />
      </div>
    </section>
  );
}

function Result({ test }: { test: SignInTest }) {
  const t = useT();
  const format = useFormat();
  const p = test.person;
  return (
    <div className={layout.cardBody}>
      <p>
        <StatusText state={test.ok ? "healthy" : "degraded"}>
          {t(test.ok ? "settings.signin.ok" : "settings.signin.failed")}
        </StatusText>{" "}
        <RelativeTime at={test.at} />
      </p>
      <PlainTable
        label={t("settings.signin.steps")}
        rows={test.steps}
        rowKey={(s) => s.name}
        columns={[
          {
            key: "name",
            title: t("settings.providers.step"),
            cell: (s) => (
              <StatusText state={s.ok ? "healthy" : "degraded"}>
                {steps[s.name] === undefined ? plainLine(s.name) : t(steps[s.name] as MessageKey)}
              </StatusText>
            ),
          },
          {
            key: "found",
            title: t("settings.providers.found"),
            cell: (s) =>
              s.ok ? (
                "–"
              ) : (
                <>
                  <PlainText text={[s.detail, s.fix].filter(Boolean).join(" · ")} lines={6} />{" "}
                  <code>{plainLine(s.id || s.code || "")}</code>
                </>
              ),
          },
          { key: "ms", title: t("settings.providers.ms"), number: true, cell: (s) => format.number(s.millis) },
        ]}
      />
      {p !== undefined && (
        <Facts
          facts={[
            { name: t("settings.signin.person"), value: <PlainText text={p.name} /> },
            { name: t("settings.signin.subject"), value: <PlainText text={p.subject} mono /> },
            {
              name: t("settings.signin.groups"),
              value: <PlainText text={(p.groups ?? []).join(", ") || "–"} lines={6} />,
            },
            {
              name: t("settings.signin.roles"),
              value:
                test.roles.length === 0 ? (
                  t("settings.signin.noRole")
                ) : (
                  <ul className={layout.list}>
                    {test.roles.map((r) => (
                      <li key={`${r.role} ${r.as} ${r.by}`}>
                        <PlainText text={r.role} mono />{" "}
                        <span className={layout.dim}>
                          {t("settings.signin.by", { as: plainLine(r.as), by: plainLine(r.by) })}
                        </span>
                      </li>
                    ))}
                  </ul>
                ),
            },
            ...(test.admin ? [{ name: t("settings.may"), value: t("settings.admin") }] : []),
          ]}
        />
      )}
      {test.claims.length > 0 && (
        <PlainTable
          label={t("settings.signin.claims")}
          rows={test.claims}
          rowKey={(c) => c.name}
          columns={[
            { key: "name", title: t("settings.signin.claim"), cell: (c) => <PlainText text={c.name} mono /> },
            {
              key: "value",
              title: t("settings.signin.value"),
              cell: (c) => <PlainText text={c.value} mono lines={4} />,
            },
          ]}
        />
      )}
    </div>
  );
}
