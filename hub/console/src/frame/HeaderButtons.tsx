import { ActionIcon, type ActionIconProps, Button, type ButtonProps, VisuallyHidden } from "@mantine/core";
import type { ComponentPropsWithRef } from "react";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { plainLine } from "../ui/plain";
import classes from "./Frame.module.css";

export type HeaderMenu = "help" | "look" | "user";

type IconButton = ActionIconProps & Omit<ComponentPropsWithRef<"button">, keyof ActionIconProps>;

// What a button gets from its menu, and from what stands in for the menu, comes last.

export function HelpButton(props: IconButton) {
  const t = useT();
  return (
    <ActionIcon aria-label={t("frame.help")} className={classes.wideOnly} {...props}>
      <Icon name="help" />
    </ActionIcon>
  );
}

export function LookButton(props: IconButton) {
  const t = useT();
  return (
    <ActionIcon aria-label={t("frame.look")} {...props}>
      <Icon name="theme" />
    </ActionIcon>
  );
}

export function UserButton({
  name,
  ...props
}: { name: string } & ButtonProps & Omit<ComponentPropsWithRef<"button">, keyof ButtonProps | "name">) {
  const t = useT();
  const shown = plainLine(name);
  return (
    <Button variant="subtle" color="gray" className={classes.user} {...props}>
      <VisuallyHidden>{t("frame.user.menu", { name: shown })}</VisuallyHidden>
      <span aria-hidden="true">{initials(shown)}</span>
    </Button>
  );
}

/** The buttons without their menus, which are loaded when somebody comes near. */
export function HeaderButtons({
  name,
  onNear,
  onPress,
}: {
  name: string;
  onNear: () => void;
  onPress: (menu: HeaderMenu) => void;
}) {
  const of = (menu: HeaderMenu) => ({
    "aria-haspopup": "menu" as const,
    "aria-expanded": false,
    onPointerEnter: onNear,
    onFocus: onNear,
    onClick: () => onPress(menu),
  });
  return (
    <>
      <HelpButton {...of("help")} />
      <LookButton {...of("look")} />
      <UserButton name={name} {...of("user")} />
    </>
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
