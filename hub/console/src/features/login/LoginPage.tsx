import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { api } from "../../client";
import { type T, useT } from "../../i18n";
import { Problem } from "../../problem";
import { paths, providerLogin, safeReturn } from "../../routes/urls";
import { Logo } from "../../ui/Logo";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import classes from "./LoginPage.module.css";
import { providersQuery } from "./queries";

const route = getRouteApi(paths.login);

/** What a refused login means to whoever tries; codes that are not known say what the hub says. */
function sentence(t: T, p: Problem): string {
  if (p.isUnreachable) return t("login.error.unreachable");
  switch (p.code) {
    case "login_failed":
      return t("login.error.invalid");
    case "too_many_logins":
    case "too_many_attempts":
      return p.retryAfter === undefined
        ? t("login.error.throttled")
        : t("login.error.throttledFor", { seconds: p.retryAfter });
  }
  return p.message;
}

/** The login: local users with a password, others at their identity provider. */
export function LoginPage() {
  const t = useT();
  const client = useQueryClient();
  const router = useRouter();
  const search = route.useSearch();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const providers = useQuery(providersQuery);
  const back = safeReturn(search.return);
  useEffect(() => {
    document.title = `${t("login.title")} · Hawser`;
  }, [t]);
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    setBusy(true);
    setProblem(undefined);
    try {
      await api.login({ username, password, browser: true });
      // Of whoever was logged in before nothing stays.
      client.clear();
      router.history.replace(back);
    } catch (e) {
      setProblem(Problem.of(e));
      setPassword("");
      setBusy(false);
    }
  };
  return (
    <main className={classes.page}>
      <div className={classes.card}>
        <div className={classes.logo}>
          <Logo size={28} />
        </div>
        <h1>{t("login.heading")}</h1>
        {search.return !== undefined && <p className={classes.note}>{t("login.again")}</p>}
        {problem !== undefined && (
          <div className={classes.problem} role="alert">
            <PlainText text={sentence(t, problem)} lines={4} /> <code>{problem.id || problem.code}</code>
          </div>
        )}
        {providers.data !== undefined && providers.data.length > 0 && (
          <>
            <Stack gap="xs">
              {providers.data.map((p) => (
                <Button key={p} component="a" href={providerLogin(p, back)} variant="default" size="sm" fullWidth>
                  {t("login.provider", { provider: plainLine(p) })}
                </Button>
              ))}
            </Stack>
            <div className={classes.or}>
              <span>{t("login.or")}</span>
            </div>
          </>
        )}
        <form onSubmit={(e) => void submit(e)}>
          <Stack gap="sm">
            <TextInput
              size="sm"
              label={t("login.username")}
              name="username"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              autoFocus
              value={username}
              onChange={(e) => setUsername(e.currentTarget.value)}
            />
            <PasswordInput
              size="sm"
              label={t("login.password")}
              name="password"
              autoComplete="current-password"
              required
              value={password}
              onChange={(e) => setPassword(e.currentTarget.value)}
              visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
            />
            <Button type="submit" size="sm" loading={busy} fullWidth mt={4}>
              {t("login.submit")}
            </Button>
          </Stack>
        </form>
        <p className={classes.help}>{t("login.help")}</p>
      </div>
    </main>
  );
}
