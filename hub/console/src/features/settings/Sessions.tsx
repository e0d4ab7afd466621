import { Button, SegmentedControl } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { LoginSession } from "../../api/types";
import { api } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import layout from "../../ui/layout.module.css";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { cli } from "../../ui/shell";
import { Listed } from "./Listed";
import { sessionsQuery } from "./queries";

/** Who is logged in: oneself, or for administrators everybody. */
export function Sessions({ all, onAll }: { all: boolean; onAll: (all: boolean) => void }) {
  const t = useT();
  const client = useQueryClient();
  const sessions = useQuery(sessionsQuery(all));
  const [ending, setEnding] = useState<LoginSession | "all">();
  const again = () => void client.invalidateQueries({ queryKey: ["settings", "sessions"] });
  return (
    <>
      <div className={layout.bar}>
        <SegmentedControl
          aria-label={t("settings.sessions.whose")}
          value={all ? "all" : "own"}
          onChange={(v) => onAll(v === "all")}
          data={[
            { value: "own", label: t("settings.sessions.own") },
            { value: "all", label: t("settings.sessions.all") },
          ]}
        />
      </div>
      <Listed
        title={t("settings.sessions")}
        help={t("settings.sessions.help")}
        query={sessions}
        rowKey={(r) => r.id}
        actions={
          !all && (
            <Button variant="default" color="red" onClick={() => setEnding("all")}>
              {t("settings.sessions.everywhere")}
            </Button>
          )
        }
        empty={<CliLine command="hawser account sessions list" />}
        columns={[
          {
            key: "name",
            title: t("settings.name"),
            cell: (r) => (
              <>
                <MiddleTruncate text={r.name} />{" "}
                {r.current && <span className={layout.dim}>({t("settings.sessions.current")})</span>}
              </>
            ),
          },
          { key: "provider", title: t("settings.sessions.provider"), cell: (r) => <PlainText text={r.provider} /> },
          {
            key: "client",
            title: t("settings.sessions.client"),
            cell: (r) => <PlainText text={r.client || (r.browser ? t("settings.sessions.browser") : "–")} />,
          },
          { key: "address", title: t("settings.sessions.address"), cell: (r) => <PlainText text={r.address ?? "–"} /> },
          { key: "used", title: t("settings.used"), cell: (r) => <RelativeTime at={r.lastUsed} /> },
          { key: "expires", title: t("settings.expires"), cell: (r) => <RelativeTime at={r.expiresAt} /> },
          {
            key: "do",
            title: "",
            cell: (r) => (
              <span className={layout.rowButtons}>
                <Button
                  variant="subtle"
                  color="red"
                  onClick={() => setEnding(r)}
                  aria-label={t("settings.sessions.end.name", { name: plainLine(r.name) })}
                >
                  {t("settings.sessions.end")}
                </Button>
              </span>
            ),
          },
        ]}
      />
      {ending === "all" ? (
        <ConfirmDialog
          title={t("settings.sessions.everywhere")}
          action={t("settings.sessions.everywhere")}
          cli="hawser account sessions end-all"
          onConfirm={async () => {
            await api.logoutEverywhere();
            again();
          }}
          onClose={() => setEnding(undefined)}
        >
          {t("settings.sessions.everywhere.what")}
        </ConfirmDialog>
      ) : (
        ending !== undefined && (
          <ConfirmDialog
            title={t("settings.sessions.end.name", { name: plainLine(ending.name) })}
            action={t("settings.sessions.end")}
            cli={cli("hawser", "account", "sessions", "end", ending.id, all && "--other-user")}
            onConfirm={async () => {
              await (all ? api.endAnySession(ending.id) : api.endSession(ending.id));
              again();
            }}
            onClose={() => setEnding(undefined)}
          >
            {t("settings.sessions.end.what")}
          </ConfirmDialog>
        )
      )}
    </>
  );
}
