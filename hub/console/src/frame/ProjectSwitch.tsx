import { Combobox, useCombobox } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useT } from "../i18n";
import { MiddleTruncate } from "../ui/PlainText";
import { ProjectButton } from "./ProjectButton";
import { projectNamesQuery } from "./queries";

/**
 * Narrows all pages to one project: the search parameter `project` of every URL. It is
 * loaded when its button is pressed, so it opens at once.
 */
export default function ProjectSwitch() {
  const t = useT();
  const navigate = useNavigate();
  const { project } = useSearch({ strict: false }) as { project?: string };
  const [typed, setTyped] = useState("");
  const box = useCombobox({
    onDropdownClose: () => {
      box.resetSelectedOption();
      setTyped("");
    },
    onDropdownOpen: () => box.focusSearchInput(),
  });
  const button = useRef<HTMLButtonElement>(null);
  const { openDropdown } = box;
  const opened = useRef(false);
  useEffect(() => {
    if (opened.current) return;
    opened.current = true;
    button.current?.focus();
    openDropdown();
  }, [openDropdown]);
  const names = useQuery({ ...projectNamesQuery, enabled: box.dropdownOpened });
  const found = (names.data ?? []).filter((n) => n.toLowerCase().includes(typed.trim().toLowerCase())).slice(0, 100);
  const choose = (name: string) => {
    box.closeDropdown();
    void navigate({
      to: ".",
      search: ((old: object) => ({ ...old, project: name === "" ? undefined : name })) as never,
    });
  };
  return (
    <Combobox store={box} width={260} position="bottom-start" onOptionSubmit={choose}>
      <Combobox.Target targetType="button">
        <ProjectButton ref={button} project={project} onClick={() => box.toggleDropdown()} />
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Search
          value={typed}
          onChange={(e) => {
            setTyped(e.currentTarget.value);
            box.updateSelectedOptionIndex();
          }}
          placeholder={t("frame.project.find")}
          aria-label={t("frame.project.find")}
        />
        <Combobox.Options mah={320} style={{ overflowY: "auto" }}>
          <Combobox.Option value="" active={project === undefined}>
            {t("frame.project.all")}
          </Combobox.Option>
          {found.map((n) => (
            <Combobox.Option key={n} value={n} active={n === project}>
              <MiddleTruncate text={n} most={34} />
            </Combobox.Option>
          ))}
          {names.isPending && <Combobox.Empty>{t("ui.loading")}</Combobox.Empty>}
          {names.isError && <Combobox.Empty>{t("frame.project.failed")}</Combobox.Empty>}
          {names.isSuccess && found.length === 0 && <Combobox.Empty>{t("frame.project.none")}</Combobox.Empty>}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
