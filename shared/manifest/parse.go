package manifest

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Parse reads the objects of one file: YAML with any number of documents, or
// JSON. Empty documents are skipped; Lists are flattened. file is the path as
// users know it; it begins every message and every Origin. A zero lim means the
// defaults.
//
// Errors are of kind fault.Unprocessable with the codes yaml_invalid,
// yaml_duplicate_key, yaml_alias_limit, manifest_incomplete, manifest_invalid
// and too_large. No objects are returned with an error.
func Parse(file string, data []byte, lim Limits) ([]Object, error) {
	lim = lim.orDefault()
	if len(data) > lim.MaxBytes {
		return nil, tooLarge(file, "the file is %s; the limit is %s", bytesText(len(data)), bytesText(lim.MaxBytes))
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	c := collector{file: file, lim: lim}
	if looksLikeJSON(data) {
		v, jerr := decodeJSON(data, lim.MaxDepth)
		if jerr == nil {
			if err := c.document(v, 1); err != nil {
				return nil, err
			}
			return c.objects, nil
		}
		// A YAML file may begin with a flow mapping; only a file that calls
		// itself JSON, or a problem that YAML would share, is settled here.
		if strings.EqualFold(path.Ext(file), ".json") || jerr.code == "yaml_duplicate_key" {
			line, col := position(data, jerr.offset)
			return nil, problem(fault.Unprocessable, jerr.code, fmt.Sprintf("%s:%d:%d", file, line, col), "%s", jerr.msg)
		}
	}
	if err := c.yaml(data); err != nil {
		return nil, err
	}
	return c.objects, nil
}

func looksLikeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// collector gathers the objects of one file.
type collector struct {
	file    string
	lim     Limits
	objects []Object
}

// document adds what is in the n-th document of the file, counted from 1.
func (c *collector) document(v any, n int) error {
	where := fmt.Sprintf("%s document %d", c.file, n)
	if v == nil {
		return nil
	}
	body, ok := v.(map[string]any)
	if !ok {
		return invalid(where, "a Kubernetes object is a mapping, this is %s", describe(v))
	}
	if len(body) == 0 {
		return nil
	}
	return c.add(body, where, fmt.Sprintf("%s#%d", c.file, n), 0)
}

// maxListNesting is how many Lists may be inside each other.
const maxListNesting = 4

func (c *collector) add(body map[string]any, where, origin string, nesting int) error {
	kind, _ := body["kind"].(string)
	items, hasItems := body["items"]
	if strings.HasSuffix(kind, "List") && (hasItems || kind == "List") {
		list, ok := items.([]any)
		switch {
		case ok:
			return c.list(body, kind, list, where, origin, nesting)
		case kind == "List" && items == nil:
			return invalid(where, "List.items is null or missing; write items: [] for an empty list")
		case kind == "List":
			return invalid(where, "List.items must be a list, got %s", describe(items))
		case items == nil && !named(body):
			// A kind of somebody's own may end in List and have items of its
			// own, but then it has a name.
			return invalid(where, "%s.items is null; write items: [] for an empty list", clip(kind, 80))
		}
	}
	if len(c.objects) >= c.lim.MaxObjects {
		return tooLarge(c.file, "the file has more than %d objects", c.lim.MaxObjects)
	}
	o, err := identify(body, where)
	if err != nil {
		return err
	}
	o.Origin = origin
	c.objects = append(c.objects, o)
	return nil
}

// named reports whether an object has a name.
func named(body map[string]any) bool {
	meta, _ := body["metadata"].(map[string]any)
	return meta["name"] != nil
}

func (c *collector) list(body map[string]any, kind string, items []any, where, origin string, nesting int) error {
	if nesting >= maxListNesting {
		return invalid(where, "Lists inside Lists, more than %d deep", maxListNesting)
	}
	itemKind := strings.TrimSuffix(kind, "List")
	for i, item := range items {
		place := fmt.Sprintf("items[%d]", i)
		m, ok := item.(map[string]any)
		if !ok {
			return invalid(where, "%s.%s: a Kubernetes object is a mapping, this is %s", kind, place, describe(item))
		}
		// A list as an API server answers it names kind and version once.
		if itemKind != "" && m["kind"] == nil {
			m["kind"] = itemKind
			if m["apiVersion"] == nil {
				m["apiVersion"] = body["apiVersion"]
			}
		}
		if err := c.add(m, where+" "+place, origin+"."+place, nesting+1); err != nil {
			return err
		}
	}
	return nil
}

// position is line and column, from 1, of a byte offset.
func position(data []byte, offset int) (line, col int) {
	offset = min(offset, len(data))
	line = 1 + bytes.Count(data[:offset], []byte("\n"))
	return line, offset - bytes.LastIndexByte(data[:offset], '\n')
}

func bytesText(n int) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
