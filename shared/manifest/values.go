package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Mapping is a mapping that remembers the order in which it was written.
type Mapping struct {
	Keys   []string
	Values map[string]any
}

// Values reads one file of variables: a mapping in YAML or JSON, with the same
// scalars, limits and errors as Parse, but keys are as they are written, and y
// and n are strings. Mappings at any depth are *Mapping. A file with nothing in
// it is an empty mapping; one with several documents, or with something else
// than a mapping, is values_invalid.
func Values(file string, data []byte, lim Limits) (*Mapping, error) {
	v, err := Value(file, data, lim)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return &Mapping{Values: map[string]any{}}, nil
	case *Mapping:
		return v, nil
	}
	return nil, problem(fault.Unprocessable, "values_invalid", file, "variables are a mapping, this is %s", describe(v))
}

// Value reads one value of any kind as Values does; nil when there is none.
func Value(file string, data []byte, lim Limits) (any, error) {
	lim = lim.orDefault()
	if len(data) > lim.MaxBytes {
		return nil, tooLarge(file, "the file is %s; the limit is %s", bytesText(len(data)), bytesText(lim.MaxBytes))
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if n := nodeBound(data); n > maxYAMLNodes {
		return nil, tooLarge(file, "the file has about %d YAML values; the limit is %d", n, maxYAMLNodes)
	}
	c := collector{file: file, lim: lim}
	conv := converter{file: file, lim: lim, aliasBudget: lim.MaxAliasExpansion, ordered: true}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var out any
	for n := 1; ; n++ {
		var doc yaml.Node
		if err := decodeNode(dec, &doc); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, c.syntaxError(data, dec, err)
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
			continue
		}
		root := doc.Content[0]
		if n > 1 {
			return nil, problem(fault.Unprocessable, "values_invalid", fmt.Sprintf("%s:%d:%d", file, root.Line, root.Column), "only one YAML document is expected; this is the second")
		}
		var err error
		if out, err = conv.value(root, 0); err != nil {
			return nil, err
		}
	}
}

// PlainString reports whether s, written in YAML without quotes, is read as the
// string s and not as a number, a boolean or null. It does not know of
// characters that YAML gives a meaning to.
func PlainString(s string) bool {
	_, ok := plain(s).(string)
	return ok
}
