package importer

import (
	"path"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Managed leaves out the Applications and ApplicationSets that are of other
// namespaces than an Argo CD manages: its own, and those that application.namespaces
// (for sets applicationsetcontroller.namespaces) of its argocd-cmd-params-cm names.
// A cluster can have others, of another Argo CD. left counts what is left out by
// its namespace. objects are all of one cluster.
func Managed(objects []Object, control string) (managed []Object, left map[string]int) {
	var params map[string]string
	for _, o := range objects {
		if o.Kind == "ConfigMap" && o.Name == "argocd-cmd-params-cm" && o.Namespace == control {
			if data, err := o.data(); err == nil {
				params = data
			}
		}
	}
	left = map[string]int{}
	for _, o := range objects {
		key := map[string]string{model.KindApplication: "application.namespaces", model.KindApplicationSet: "applicationsetcontroller.namespaces"}[o.Kind]
		if key != "" && o.Namespace != control && !namesNamespace(params[key], o.Namespace) {
			left[o.Namespace]++
			continue
		}
		managed = append(managed, o)
	}
	return managed, left
}

// namesNamespace reports whether a list of patterns names a namespace. What is
// more than a shell pattern (a regular expression, alternatives) is taken for a
// yes: the report then shows what is read.
func namesNamespace(list, namespace string) bool {
	for p := range strings.SplitSeq(list, ",") {
		p = strings.TrimSpace(p)
		if p == "" {
			continue
		}
		if strings.HasPrefix(p, "/") || strings.ContainsAny(p, "{}") {
			return true
		}
		if ok, err := path.Match(p, namespace); ok || err != nil {
			return true
		}
	}
	return false
}
