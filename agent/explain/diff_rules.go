package explain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// ignoreRules are the rules of --ignore.
type ignoreRules struct {
	own    []model.IgnoreDifferences
	data   map[string]string // of argocd-cm, of all files
	system *diff.SystemRules
}

// readRules reads the files of --ignore.
func readRules(c *cobra.Command, paths []string) (ignoreRules, error) {
	var rules ignoreRules
	for _, path := range paths {
		if err := rules.read(c, path); err != nil {
			return rules, err
		}
	}
	return rules, nil
}

// input is a comparison by the rules, without a live object.
func (r ignoreRules) input(desired map[string]any, schema diff.Schema) diff.Input {
	return diff.Input{Desired: desired, Schema: schema, Ignore: r.own, SystemRules: r.system, SensitiveAnnotations: r.system.SensitiveAnnotations()}
}

// read adds the rules of a file: a list of entries of ignoreDifferences, one
// entry, an Application or its spec, the ConfigMap argocd-cm or its data; several
// documents, too.
func (r *ignoreRules) read(c *cobra.Command, path string) error {
	name, data, err := readInput(c, "ignore", path)
	if err != nil {
		return err
	}
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "ignore_rules_invalid", "%s: "+format, append([]any{name}, args...)...).WithField("--ignore")
	}
	found := false
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := d.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bad("%s", yamlProblem(err))
		}
		doc, err := yaml.Marshal(&node)
		if err != nil {
			return bad("%s", yamlProblem(err))
		}
		content := node.Content[0]
		if content.Kind == yaml.ScalarNode && content.Tag == "!!null" {
			continue
		}
		found = true
		if err := r.document(doc, content); err != nil {
			return bad("%s", yamlProblem(err))
		}
	}
	if !found {
		return bad("it has no rules")
	}
	if r.system, err = diff.ParseSystemRules(r.data); err != nil {
		return bad("%s", firstProblem(err))
	}
	return nil
}

// firstProblem is one of several joined errors.
func firstProblem(err error) string {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) && len(joined.Unwrap()) > 0 {
		err = joined.Unwrap()[0]
	}
	return fault.As(err).Message
}

func yamlProblem(err error) string {
	msg := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "while decoding JSON: ", "yaml: ", "json: "} {
		msg = strings.TrimPrefix(msg, prefix)
	}
	return msg
}

func (r *ignoreRules) document(doc []byte, content *yaml.Node) error {
	if content.Kind == yaml.SequenceNode {
		var list []model.IgnoreDifferences
		if err := kyaml.UnmarshalStrict(doc, &list); err != nil {
			return err
		}
		return r.add(list)
	}
	if content.Kind != yaml.MappingNode {
		return errors.New("it is neither a list of rules nor an object")
	}
	keys := map[string]bool{}
	for i := 0; i < len(content.Content); i += 2 {
		keys[content.Content[i].Value] = true
	}
	var holder struct {
		Kind string            `json:"kind"`
		Data map[string]string `json:"data"`
		Spec struct {
			Ignore []model.IgnoreDifferences `json:"ignoreDifferences"`
		} `json:"spec"`
		Ignore []model.IgnoreDifferences `json:"ignoreDifferences"`
	}
	switch {
	case keys["jsonPointers"] || keys["jqPathExpressions"] || keys["managedFieldsManagers"]:
		var one model.IgnoreDifferences
		if err := kyaml.UnmarshalStrict(doc, &one); err != nil {
			return err
		}
		return r.add([]model.IgnoreDifferences{one})
	case keys["spec"], keys["ignoreDifferences"]:
		if err := kyaml.Unmarshal(doc, &holder); err != nil {
			return err
		}
		if holder.Kind != "" && holder.Kind != "Application" {
			return fmt.Errorf("a %s has no ignoreDifferences; an Application has", holder.Kind)
		}
		return r.add(append(holder.Spec.Ignore, holder.Ignore...))
	case keys["data"]:
		if err := kyaml.Unmarshal(doc, &holder); err != nil {
			return err
		}
		return r.addData(holder.Data)
	}
	var data map[string]string
	if err := kyaml.Unmarshal(doc, &data); err != nil {
		return errors.New("it is neither a list of ignoreDifferences entries, nor an Application, nor the data of argocd-cm")
	}
	return r.addData(data)
}

func (r *ignoreRules) add(list []model.IgnoreDifferences) error {
	if len(list) == 0 {
		return errors.New("it has no ignoreDifferences")
	}
	for i, one := range list {
		if one.Kind == "" {
			return fmt.Errorf("ignoreDifferences[%d] has no kind; * stands for any", i)
		}
		if err := diff.CheckRule(one); err != nil {
			return fmt.Errorf("ignoreDifferences[%d]: %s", i, fault.As(err).Message)
		}
	}
	r.own = append(r.own, list...)
	return nil
}

func (r *ignoreRules) addData(data map[string]string) error {
	if r.data == nil {
		r.data = map[string]string{}
	}
	known := false
	for k, v := range data {
		known = known || strings.HasPrefix(k, "resource.")
		r.data[k] = v
	}
	if !known {
		return errors.New("none of its keys begins with resource. as those of argocd-cm do")
	}
	return nil
}
