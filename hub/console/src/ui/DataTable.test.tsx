import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { draw, expectAccessible } from "../test/render";
import { installChords } from "./chords";
import { type Column, DataTable, type DataTableProps } from "./DataTable";

interface Row {
  name: string;
  apps: number;
}
const rows = Array.from({ length: 5000 }, (_, i): Row => ({ name: `cluster-${i}`, apps: i }));
const columns: Column<Row>[] = [
  {
    id: "name",
    title: "Name",
    cell: (r) => <a href="#x">{r.name}</a>,
    width: 160,
    grow: 1,
    sort: "name",
    always: true,
  },
  { id: "apps", title: "Apps", cell: (r) => r.apps, width: 80, number: true },
];

function Table(props: Partial<DataTableProps<Row>>) {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [hidden, setHidden] = useState<string[]>([]);
  return (
    <>
      <DataTable
        label="Clusters"
        columns={columns}
        rows={rows}
        rowKey={(r) => r.name}
        selected={selected}
        onSelected={setSelected}
        hidden={hidden}
        onHidden={setHidden}
        {...props}
      />
      <output>{[...selected].join(" ")}</output>
    </>
  );
}

function Grouped({ onMoreOf, opened }: { onMoreOf?: (key: string) => void; opened?: (r: Row) => void }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set(["a"]));
  const of = { a: rows.slice(0, 3), b: rows.slice(3, 4), c: [] as Row[] };
  return (
    <Table
      rows={Object.entries(of).flatMap(([k, r]) => (open.has(k) ? r : []))}
      sections={Object.entries(of).map(([key, r]) => ({
        key,
        title: `group ${key}`,
        count: String(r.length),
        open: open.has(key),
        rows: r,
        more: key === "c",
      }))}
      onSection={(key, on) => setOpen((old) => new Set(on ? [...old, key] : [...old].filter((k) => k !== key)))}
      onMoreOf={onMoreOf}
      onOpen={opened}
    />
  );
}

describe("a table in groups", () => {
  it("says which are open, and is folded and unfolded with keys alone", async () => {
    const user = userEvent.setup();
    const opened = vi.fn();
    const more = vi.fn();
    const { container } = draw(<Grouped onMoreOf={more} opened={opened} />);
    const grid = screen.getByRole("treegrid", { name: "Clusters" });
    expect(within(grid).getByRole("row", { name: "group a 3" })).toHaveAttribute("aria-expanded", "true");
    expect(within(grid).getByRole("row", { name: "group b 1" })).toHaveAttribute("aria-expanded", "false");
    expect(within(grid).queryByText("cluster-3")).toBeNull();
    await expectAccessible(container);
    await user.tab();
    while (document.activeElement !== grid) await user.tab();
    await user.keyboard("{ArrowDown}x{Enter}"); // the first row of a
    expect(screen.getByRole("status")).toHaveTextContent("cluster-0");
    expect(opened).toHaveBeenCalledWith(rows[0]);
    await user.keyboard("{ArrowLeft}{ArrowLeft}"); // to its group, and shut
    expect(within(grid).queryByText("cluster-0")).toBeNull();
    await user.keyboard("{ArrowDown}{ArrowRight}{ArrowDown}");
    expect(within(grid).getByText("cluster-3")).toBeVisible();
    expect(more).not.toHaveBeenCalled();
    await user.keyboard("{ArrowDown}{Enter}"); // c has more than is loaded
    expect(more).toHaveBeenCalledWith("c");
    expect(within(grid).getByText("Loading more…")).toBeVisible();
    await user.click(within(grid).getByText("group b"));
    expect(within(grid).queryByText("cluster-3")).toBeNull();
  });
});

describe("a table without room for columns", () => {
  it("has all of a row in one cell", async () => {
    const width = vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(390);
    vi.stubGlobal(
      "ResizeObserver",
      class {
        observe() {}
        unobserve() {}
        disconnect() {}
      },
    );
    try {
      const { container } = draw(<Table compact={(r) => <span>{`${r.name}: ${r.apps}`}</span>} />);
      expect(screen.getAllByRole("columnheader").map((h) => h.textContent)).toEqual([
        "",
        expect.stringContaining("Name"),
      ]);
      expect(screen.getByText("cluster-1: 1")).toBeVisible();
      expect(screen.queryByRole("button", { name: "Columns" })).toBeNull();
      await expectAccessible(container);
    } finally {
      width.mockRestore();
      vi.unstubAllGlobals();
    }
  });
});

describe("a table that has no form of its own for little room", () => {
  it("says all of a row in two lines, numbers with what they count", async () => {
    const width = vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(100);
    vi.stubGlobal(
      "ResizeObserver",
      class {
        observe() {}
        unobserve() {}
        disconnect() {}
      },
    );
    try {
      const { container } = draw(<Table />);
      expect(screen.getAllByRole("columnheader")).toHaveLength(2);
      expect(screen.getByText("cluster-1")).toBeVisible();
      expect(screen.getAllByText(/^[A-Z][a-z]+: /)[0]).toBeVisible();
      await expectAccessible(container);
    } finally {
      width.mockRestore();
      vi.unstubAllGlobals();
    }
  });
});

describe("a table", () => {
  it("has the rows in sight in the page, and says how many there are", async () => {
    const { container } = draw(<Table total={9000} />);
    const grid = screen.getByRole("grid", { name: "Clusters" });
    expect(grid).toHaveAttribute("aria-rowcount", "9001");
    const drawn = within(grid).getAllByRole("row").length;
    expect(drawn).toBeGreaterThan(15);
    expect(drawn).toBeLessThan(80);
    await expectAccessible(container);
  });
  it("is worked with keys alone", async () => {
    const user = userEvent.setup();
    const opened = vi.fn();
    draw(<Table onOpen={opened} />);
    await user.tab();
    expect(screen.getByRole("grid")).toHaveFocus();
    await user.keyboard("jj{ArrowDown}k");
    await user.keyboard("x");
    expect(screen.getByRole("status")).toHaveTextContent(/^cluster-2$/);
    await user.keyboard("{Shift>}{ArrowDown}{ArrowDown}{/Shift}");
    expect(screen.getByRole("status")).toHaveTextContent(/^cluster-2 cluster-3 cluster-4$/);
    await user.keyboard("{Enter}");
    expect(opened).toHaveBeenCalledExactlyOnceWith(rows[4]);
  });
  it("is reached with j from anywhere on the page", async () => {
    const remove = installChords();
    draw(<Table />);
    await userEvent.keyboard("j");
    expect(screen.getByRole("grid")).toHaveFocus();
    remove();
  });
  it("asks for more when the end of what is loaded is in sight", async () => {
    const more = vi.fn();
    const first = draw(<Table rows={rows.slice(0, 30)} total={5000} onMore={more} />);
    expect(more).toHaveBeenCalled();
    first.unmount();
    more.mockClear();
    draw(<Table rows={rows.slice(0, 30)} total={30} onMore={more} />);
    expect(more).not.toHaveBeenCalled();
  });
  it("sorts by the server", async () => {
    const sort = vi.fn();
    draw(<Table sort="name" onSort={sort} />);
    expect(screen.getByRole("columnheader", { name: /Name/ })).toHaveAttribute("aria-sort", "ascending");
    await userEvent.click(screen.getByRole("button", { name: /Name/ }));
    expect(sort).toHaveBeenCalledWith("-name");
  });
  it("hides columns, but not all", async () => {
    draw(<Table />);
    await userEvent.click(screen.getByRole("button", { name: "Columns" }));
    const item = await screen.findByRole("menuitemcheckbox", { name: "Apps" });
    expect(screen.queryByRole("menuitemcheckbox", { name: "Name" })).toBeNull();
    await userEvent.click(item);
    expect(screen.queryByRole("columnheader", { name: "Apps" })).toBeNull();
  });
  it("opens a row by a click, and not where a link is", async () => {
    const opened = vi.fn();
    draw(<Table onOpen={opened} />);
    await userEvent.click(screen.getByRole("link", { name: "cluster-1" }));
    expect(opened).not.toHaveBeenCalled();
    await userEvent.click(screen.getAllByRole("gridcell", { name: "1" })[0] as HTMLElement);
    expect(opened).toHaveBeenCalledExactlyOnceWith(rows[1]);
  });
});
