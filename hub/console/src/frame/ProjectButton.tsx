import { Button, type ButtonProps } from "@mantine/core";
import type { ComponentPropsWithRef } from "react";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { MiddleTruncate } from "../ui/PlainText";

/** Says which project everything is narrowed to; the list behind it is ProjectSwitch. */
export function ProjectButton({
  project,
  ...props
}: { project: string | undefined } & ButtonProps & Omit<ComponentPropsWithRef<"button">, keyof ButtonProps>) {
  const t = useT();
  return (
    <Button variant="default" rightSection={<Icon name="chevron" size={12} />} maw={220} {...props}>
      {project === undefined ? t("frame.project.all") : <MiddleTruncate text={project} most={24} />}
    </Button>
  );
}
