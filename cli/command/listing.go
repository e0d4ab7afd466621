package command

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// apiVersion is of the documents that the command line itself makes.
const apiVersion = "cli.hawser.dev/v1"

// pageSize is how many objects are asked for at once.
const pageSize = 500

// list is the answer of the hub's list routes.
type list[T any] struct {
	Items      []T       `json:"items"`
	AsOf       time.Time `json:"asOf"`
	NextCursor string    `json:"nextCursor,omitempty"`
	// Total is how many there are in all pages; nil where the hub does not say.
	Total *int `json:"total,omitempty"`
	// Partial says of which parts nothing is known.
	Partial json.RawMessage `json:"partial,omitempty"`
}

// listing says how a list is printed.
type listing[T any] struct {
	kind    string         // of the document
	name    func(T) string // nil: the first column
	columns []output.Column
	row     func(T) []string
	// labels are of one; nil: these things have none.
	labels func(T) map[string]string
	// fields are those that the hub's rows have; nil: all of T.
	fields []string
	// stale reports whether what is shown of one may be over; nil: never.
	stale func(T) bool
	// by are the ways to narrow the list that the hub knows: "project", "cluster",
	// "selector", "filter".
	by []string
	// closing says more about all that was shown, on standard error; may be nil.
	closing func(c *call, items []T)
}

// rowFields are what --json takes.
func (l listing[T]) rowFields() []string {
	if l.fields != nil {
		return slices.Clone(l.fields)
	}
	return fieldsOf(reflect.TypeFor[T]())
}

func (l listing[T]) nameOf(x T) string {
	if l.name != nil {
		return l.name(x)
	}
	if row := l.row(x); len(row) > 0 {
		return row[0]
	}
	return ""
}

// columnsKey holds the titles of a command's columns, for completion.
const columnsKey = "hawser.dev/columns"

// command makes c list what the hub has at path. query adds to what is asked
// for; it may be nil.
func (l listing[T]) command(s *session, c *cobra.Command, path string, query func() url.Values) *cobra.Command {
	l.flags(s, c)
	l.tableAt(s, path)
	c.RunE = s.run(func(c *call) error {
		q := url.Values{}
		if query != nil {
			q = query()
		}
		return l.fetchWith(c, path, q)
	})
	return c
}

// tableAt has things of the hub's list at path be printed by this list where
// several are named.
func (l listing[T]) tableAt(s *session, path string) {
	if s.tables == nil {
		s.tables = map[string]func(*call, []any) error{}
	}
	l.fields = nil // what is got has all fields
	s.tables[path] = func(c *call, things []any) error {
		items := make([]T, 0, len(things))
		for _, x := range things {
			if item, ok := x.(T); ok {
				items = append(items, item)
			}
		}
		return l.print(c, items, c.now())
	}
}

// flags adds the flags of lists to a command that prints this one.
func (l listing[T]) flags(s *session, c *cobra.Command) {
	s.lists.register(c.Flags(), l.by)
	if l.labels != nil {
		s.lists.registerLabels(c.Flags())
	}
	titles := make([]string, len(l.columns))
	for i, x := range l.columns {
		titles[i] = strings.ToLower(x.Title)
	}
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[columnsKey] = strings.Join(titles, ",")
}

// narrow puts the flags that narrow a list into what is asked of the hub.
func (f listFlags) narrow(q url.Values) {
	if strings.Contains(f.cluster, "=") {
		f.filter, f.cluster = withClusterLabel(f.filter, f.cluster), ""
	}
	for k, v := range map[string]string{"project": f.project, "cluster": f.cluster, "selector": f.selector, "filter": f.filter} {
		if v != "" {
			q.Set(k, v)
		}
	}
}

// fetchWith prints all that the hub lists at path with a query, page by page
// where nothing needs them all.
func (l listing[T]) fetchWith(c *call, path string, q url.Values) error {
	p, err := l.start(c)
	if err != nil {
		return err
	}
	c.lists.narrow(q)
	want := c.lists.limit
	if c.lists.sortBy != "" {
		want = 0 // the first of all, not the first that come
	}
	for {
		size := pageSize
		if want > 0 {
			size = min(size, want-p.fetched)
		}
		q.Set("limit", strconv.Itoa(size))
		var page list[T]
		if err := c.get(path+"?"+q.Encode(), &page); err != nil {
			return err
		}
		if want > 0 && p.fetched+len(page.Items) > want { // of a hub that does not page
			p.total = max(p.total, p.fetched+len(page.Items))
			page.Items = page.Items[:want-p.fetched]
		}
		if err := p.add(page); err != nil {
			return err
		}
		if page.NextCursor == "" || (want > 0 && p.fetched >= want) {
			break
		}
		if page.NextCursor == q.Get("cursor") {
			return fault.New(fault.Internal, "answer_invalid", "the hub answers the same page again and again")
		}
		q.Set("cursor", page.NextCursor)
	}
	if p.fetched == 0 {
		if err := c.whyNothing(); err != nil {
			return err
		}
	}
	return p.end()
}

// print prints a list that is there already.
func (l listing[T]) print(c *call, items []T, asOf time.Time) error {
	p, err := l.start(c)
	if err != nil {
		return err
	}
	if n := c.lists.limit; n > 0 && c.lists.sortBy == "" && len(items) > n {
		p.total, items = len(items), items[:n]
	}
	if err := p.add(list[T]{Items: items, AsOf: asOf}); err != nil {
		return err
	}
	return p.end()
}

// printing is a list under way.
type printing[T any] struct {
	listing[T]
	c       *call
	sheet   *output.Sheet
	key     sorting
	held    []T // what is printed at the end
	all     []T // for closing
	fetched int
	stale   int
	total   int
	asOf    time.Time
	partial json.RawMessage
}

// sorting is a compiled --sort-by.
type sorting struct {
	column     int // -1: by path
	path       output.SortKey
	descending bool
}

// withLabels adds the columns of labels that are asked for, as kubectl's.
func (l listing[T]) withLabels(flags listFlags) listing[T] {
	if l.labels == nil || (!flags.showLabels && len(flags.labelColumns) == 0) {
		return l
	}
	keys, row := flags.labelColumns, l.row
	l.columns = slices.Clone(l.columns)
	wide := -1
	if flags.showLabels { // the last, in place of one that is shown with -o wide only
		wide = slices.IndexFunc(l.columns, func(x output.Column) bool { return x.Title == "LABELS" })
	}
	if wide >= 0 {
		l.columns = slices.Delete(l.columns, wide, wide+1)
	}
	for _, key := range keys {
		l.columns = append(l.columns, output.Column{Title: strings.ToUpper(key[strings.LastIndexByte(key, '/')+1:])})
	}
	if flags.showLabels {
		l.columns = append(l.columns, output.Column{Title: "LABELS"})
	}
	l.row = func(x T) []string {
		cells, labels := slices.Clone(row(x)), l.labels(x)
		if wide >= 0 {
			cells = slices.Delete(cells, wide, wide+1)
		}
		for _, key := range keys {
			cells = append(cells, labels[key])
		}
		if flags.showLabels {
			cells = append(cells, orElse(labelText(labels), "<none>"))
		}
		return cells
	}
	return l
}

func (l listing[T]) start(c *call) (*printing[T], error) {
	p := &printing[T]{listing: l.withLabels(c.lists), c: c}
	l = p.listing
	if c.format == output.Tree {
		return nil, c.noTree()
	}
	if slices.Contains(readers, c.cmd.Name()) {
		if err := c.checkFields(p.rowFields()); err != nil {
			return nil, err
		}
	}
	var err error
	if p.sheet, err = c.sheet(l.columns); err != nil {
		return nil, err
	}
	if c.seen != nil {
		if c.seen.sheet == nil {
			c.seen.sheet = p.sheet
		}
		p.sheet = c.seen.sheet
	}
	if by := c.lists.sortBy; by != "" {
		by, p.key.descending = strings.CutPrefix(by, "-")
		p.key.column = slices.IndexFunc(l.columns, func(x output.Column) bool { return strings.EqualFold(x.Title, by) })
		if p.key.column >= 0 {
			by = l.columns[p.key.column].Path
			if by != "" {
				p.key.column = -1
			}
		}
		if p.key.column < 0 {
			p.key.path, err = output.NewSortKey(by)
		}
	}
	return p, err
}

// wait reports whether all objects are needed before the first is printed.
func (p *printing[T]) wait() bool {
	return p.c.lists.sortBy != "" || (p.c.documents() && !p.c.printer.Streams()) || p.c.seen != nil
}

func (p *printing[T]) add(page list[T]) error {
	p.fetched += len(page.Items)
	p.total = max(p.total, p.fetched)
	if page.Total != nil {
		p.total = max(p.total, *page.Total)
	}
	if !page.AsOf.IsZero() {
		p.asOf = page.AsOf
	}
	if len(page.Partial) > 0 {
		p.partial = page.Partial
	}
	if p.listing.stale != nil {
		for _, x := range page.Items {
			if p.listing.stale(x) {
				p.stale++
			}
		}
	}
	if p.wait() {
		p.held = append(p.held, page.Items...)
		return nil
	}
	if p.closing != nil {
		p.all = append(p.all, page.Items...)
	}
	if len(page.Items) == 0 { // end says what there is to say of nothing
		return nil
	}
	return p.show(page.Items)
}

func (p *printing[T]) end() error {
	items := p.held
	if !p.wait() {
		items = p.all
	}
	if p.c.lists.sortBy != "" {
		if err := p.sort(items); err != nil {
			return err
		}
		if n := p.c.lists.limit; n > 0 && len(items) > n {
			items = items[:n]
		}
	}
	shown := p.fetched
	if p.wait() {
		shown = len(items)
		if err := p.show(items); err != nil {
			return err
		}
	} else if p.fetched == 0 {
		if err := p.show(nil); err != nil { // the header, or an empty document
			return err
		}
	}
	if p.c.seen != nil {
		return nil
	}
	if p.c.format == output.Table || p.c.format == output.Wide {
		p.footer(shown)
	}
	if p.closing != nil && p.c.format != output.Name {
		p.closing(p.c, items)
	}
	return nil
}

// footer says how much of all that was, when that is not plain to see.
func (p *printing[T]) footer(shown int) {
	if shown == p.total && p.stale == 0 && !p.c.OutTerminal {
		return
	}
	text := output.Thousands(shown)
	if p.total > shown {
		text += " of " + output.Thousands(p.total)
	}
	if p.stale > 0 {
		text += " · " + output.Thousands(p.stale) + " stale"
	}
	p.c.note("%s", text)
}

func (p *printing[T]) sort(items []T) error {
	if p.key.column < 0 {
		return output.Sort(items, p.key.path, p.key.descending)
	}
	slices.SortStableFunc(items, func(a, b T) int {
		n := output.Natural(p.row(a)[p.key.column], p.row(b)[p.key.column])
		if p.key.descending {
			return -n
		}
		return n
	})
	return nil
}

func (p *printing[T]) show(items []T) error {
	c := p.c
	if c.seen != nil {
		changed, err := freshItems(c.seen, p.listing, items)
		if err != nil {
			return err
		}
		if items = changed; len(items) == 0 && c.seen.runs > 0 {
			return nil
		}
	}
	switch {
	case c.printer.ListsFields():
		return c.printFields(p.rowFields())
	case c.documents():
		if items == nil {
			items = []T{} // a list of nothing, not null
		}
		return c.document(listDocument{apiVersion, p.kind, p.asOf, items, p.partial})
	case c.format == output.Name:
		for _, x := range items {
			if err := c.name(p.nameOf(x)); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]string, 0, len(items))
	for _, x := range items {
		rows = append(rows, p.row(x))
	}
	return p.sheet.Print(c.Out, rows)
}

// listDocument is the envelope of every list that is printed for programs.
type listDocument struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	AsOf       time.Time       `json:"asOf"`
	Items      any             `json:"items"`
	Partial    json.RawMessage `json:"partial,omitempty"`
}

func splitList(s string) []string {
	var out []string
	for x := range strings.SplitSeq(s, ",") {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}

// whyNothing explains an empty list: what it was narrowed to may not exist.
func (c *call) whyNothing() error {
	if err := c.exists("project_not_found", "project", c.lists.project, "/projects"); err != nil {
		return err
	}
	return c.exists("cluster_not_found", "cluster", c.lists.cluster, "/clusters")
}

// exists fails when the hub has no such thing, and names the nearest there is. A
// pattern is not looked for.
func (c *call) exists(code, what, name, path string) error {
	if name == "" || strings.ContainsAny(name, "*?,") {
		return nil
	}
	err := c.get(path+"/"+url.PathEscape(name), nil)
	if !fault.Is(err, fault.NotFound) {
		return nil // that it cannot be asked makes the empty list no error
	}
	e := fault.New(fault.NotFound, code, "there is no %s %q", what, name)
	if n, err := nounOf(what); err == nil {
		if near := nearest(name, nearNames(c.ctx, c.api, n, name)); near != "" {
			return e.WithFix("did you mean %q?", near)
		}
	}
	return e.WithFix("see hawser %s list", what)
}
