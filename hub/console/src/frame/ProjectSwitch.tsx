import { Button, Combobox, useCombobox } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useT } from "../i18n";
import { Icon } from "../ui/Icon";
import { MiddleTruncate } from "../ui/PlainText";
import { projectNamesQuery } from "./queries";

/** Narrows all pages to one project: the search parameter `project` of every URL. */
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
        <Button
          variant="default"
          rightSection={<Icon name="chevron" size={12} />}
          onClick={() => box.toggleDropdown()}
          maw={220}
        >
          {project === undefined ? t("frame.project.all") : <MiddleTruncate text={project} most={24} />}
        </Button>
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
