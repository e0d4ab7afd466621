import { Menu } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { api, Problem } from "../client";
import { locales, useLocale, useT } from "../i18n";
import { apiDocs, paths } from "../routes/urls";
import { Icon } from "../ui/Icon";
import { plainLine } from "../ui/plain";
import { clocks, contrasts, densities, schemes, usePreferences } from "../ui/preferences";
import classes from "./Frame.module.css";
import { type HeaderMenu, HelpButton, LookButton, UserButton } from "./HeaderButtons";

/** Menus of the buttons at the right of the header; the one that was pressed opens at once. */
export default function HeaderMenus({
  first,
  ...props
}: {
  first: HeaderMenu;
  name: string;
  provider?: string;
  admin?: boolean;
  onHelp: () => void;
}) {
  const t = useT();
  const help = useOpened(first === "help");
  return (
    <>
      <Menu position="bottom-end" opened={help.opened} onChange={help.setOpened}>
        <Menu.Target>
          <HelpButton ref={help.button} />
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={props.onHelp} rightSection={<kbd className={classes.kbd}>?</kbd>}>
            {t("frame.help.chords")}
          </Menu.Item>
          <Menu.Item component="a" href={apiDocs} target="_blank" rel="noopener">
            {t("frame.help.api")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <LookMenu first={first === "look"} />
      <UserMenu {...props} first={first === "user"} />
    </>
  );
}

/**
 * A menu, open from the beginning when its button was pressed before the menu was
 * there. The button that was pressed is gone by then: focus goes to the new one first,
 * to which it comes back when the menu closes.
 */
function useOpened(first: boolean) {
  const [opened, setOpened] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!first) return;
    button.current?.focus();
    setOpened(true);
  }, [first]);
  return { opened, setOpened, button };
}

function LookMenu({ first }: { first: boolean }) {
  const t = useT();
  const { opened, setOpened, button } = useOpened(first);
  const look = usePreferences();
  const [locale, setLocale] = useLocale();
  return (
    <Menu position="bottom-end" closeOnItemClick={false} width={220} opened={opened} onChange={setOpened}>
      <Menu.Target>
        <LookButton ref={button} />
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
        <Menu.Label>{t("frame.look.times")}</Menu.Label>
        <Choice
          values={clocks}
          value={look.times}
          onChange={(times) => look.set({ times })}
          label={(c) => t(`frame.look.times.${c}`)}
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
  return (
    <Menu.RadioGroup value={value} onChange={(v) => onChange(v as V)}>
      {values.map((v) => (
        <Menu.RadioItem key={v} value={v}>
          {label(v)}
        </Menu.RadioItem>
      ))}
    </Menu.RadioGroup>
  );
}

function UserMenu({
  first,
  name,
  provider,
  admin,
  onHelp,
}: {
  first: boolean;
  name: string;
  provider?: string;
  admin?: boolean;
  onHelp: () => void;
}) {
  const t = useT();
  const { opened, setOpened, button } = useOpened(first);
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
    <Menu position="bottom-end" width={220} opened={opened} onChange={setOpened}>
      <Menu.Target>
        <UserButton ref={button} name={name} />
      </Menu.Target>
      <Menu.Dropdown>
        <div className={classes.who}>
          <bdi>{shown}</bdi>
          <span>
            {provider === undefined
              ? t("frame.user.token")
              : provider === "local"
                ? t("frame.user.local")
                : t("frame.user.from", { provider })}
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
