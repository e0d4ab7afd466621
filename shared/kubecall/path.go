package kubecall

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Bounds of a request.
const (
	maxPath  = 2 << 10
	maxQuery = 16 << 10
	maxParts = 9 // apis/GROUP/VERSION/namespaces/NS/RESOURCE/NAME/SUBRESOURCE and one more
)

// Info is what a request is about.
type Info struct {
	// Verb is Kubernetes' own: get, list, watch, create, update, patch, delete or
	// deletecollection.
	Verb string
	// Discovery requests ask which API there is, and are about no object.
	Discovery bool
	// Group, Resource (plural), Subresource, Namespace and Name of the object; a
	// collection has no name, and one over all namespaces no namespace.
	Group, Version, Resource, Subresource, Namespace, Name string
	// Follows: the answer goes on for as long as somebody listens.
	Follows bool

	// Kind and Namespaced are what the cluster says of the resource, if Known. The
	// agent fills them in; Parse does not know them.
	Kind              string
	Namespaced, Known bool
}

// Opens reports whether the request enters a container: it runs something there,
// or opens a connection into it.
func (i Info) Opens() bool {
	if i.Group != "" || i.Resource != "pods" {
		return false
	}
	switch i.Subresource {
	case "exec", "attach", "portforward", "ephemeralcontainers":
		return true
	}
	return false
}

// Changes reports whether something may be another in the cluster afterwards.
func (i Info) Changes() bool {
	return i.Opens() || i.Verb != "get" && i.Verb != "list" && i.Verb != "watch"
}

// discovery are the paths, beside those of groups, that tell which API there is.
var discovery = map[string]bool{
	"/api": true, "/apis": true, "/version": true, "/healthz": true, "/livez": true, "/readyz": true,
	"/openapi/v2": true, "/openapi/v3": true,
}

// Parse judges a method, a path and a query as they came. Codes: method_refused,
// path_refused, query_refused (Invalid).
//
// The path has to be in its one spelling: segments of letters, digits and
// "-._~:@+,=$", none of them empty, "." or "..", with no escapes and no slash at
// the end, so that no two readers of it can understand it differently.
func Parse(method, path, query string) (Info, error) {
	parts, err := segments(path)
	if err != nil {
		return Info{}, err
	}
	q, err := parameters(query)
	if err != nil {
		return Info{}, err
	}
	var i Info
	switch method {
	case http.MethodGet, http.MethodHead:
		i.Verb = "get"
	case http.MethodPost:
		i.Verb = "create"
	case http.MethodPut:
		i.Verb = "update"
	case http.MethodPatch:
		i.Verb = "patch"
	case http.MethodDelete:
		i.Verb = "delete"
	default:
		return i, fault.New(fault.Invalid, "method_refused", "%.20q is no method that goes to a cluster", method).WithFound(method, "GET, HEAD, POST, PUT, PATCH, DELETE")
	}
	if isDiscovery(path, parts) {
		if i.Verb != "get" {
			return i, refusedPath("%.80q is only read", path)
		}
		i.Discovery = true
		return i, nil
	}
	switch {
	case parts[0] == "api" && len(parts) > 2:
		i.Version, parts = parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		i.Group, i.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return i, refusedPath("%.80q is no path of objects, and of the others only discovery is let through", path)
	}
	if err := i.object(parts); err != nil {
		return i, err
	}
	if err := i.refine(q); err != nil {
		return i, err
	}
	return i, nil
}

func isDiscovery(path string, parts []string) bool {
	switch {
	case discovery[path]:
		return true
	case parts[0] == "api":
		return len(parts) <= 2
	case parts[0] == "apis":
		return len(parts) <= 3
	case parts[0] == "openapi" && len(parts) > 2 && parts[1] == "v3":
		return len(parts) == 3 || len(parts) == 4 && parts[2] == "api" || len(parts) <= 5 && parts[2] == "apis"
	}
	return false
}

// object reads what comes after the version, as the API server does.
func (i *Info) object(parts []string) error {
	switch {
	case parts[0] == "watch" || parts[0] == "proxy":
		return refusedPath("paths with %q before the resource are not let through", parts[0])
	case parts[0] == "namespaces" && i.Group == "" && len(parts) > 1:
		i.Namespace = parts[1]
		if len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
			parts = parts[2:]
		}
	case parts[0] == "namespaces" && len(parts) > 2:
		i.Namespace, parts = parts[1], parts[2:]
	}
	if len(parts) > 3 {
		return refusedPath("there is too much after the subresource %q", parts[2])
	}
	i.Resource = parts[0]
	if len(parts) > 1 {
		i.Name = parts[1]
	}
	if len(parts) > 2 {
		i.Subresource = parts[2]
	}
	// A proxy of a node is the kubelet, which asks nobody; that of a pod or service
	// answers pages of anybody.
	if i.Subresource == "proxy" || i.Resource == "nodes" && i.Group == "" && i.Subresource != "" && i.Subresource != "status" {
		return refusedPath("%s/%s is not let through", i.Resource, i.Subresource)
	}
	return nil
}

// refine reads from the query what makes another verb of one.
func (i *Info) refine(q url.Values) error {
	watch, err := flag(q, "watch")
	if err != nil {
		return err
	}
	follow, err := flag(q, "follow")
	if err != nil {
		return err
	}
	if i.Name == "" {
		switch i.Verb {
		case "get":
			i.Verb = "list"
		case "delete":
			i.Verb = "deletecollection"
		}
	}
	if watch && (i.Verb == "list" || i.Verb == "get") && i.Subresource == "" {
		i.Verb, i.Follows = "watch", true
	}
	if i.Resource == "pods" && i.Group == "" && (i.Subresource == "log" && follow || i.Subresource == "exec" || i.Subresource == "attach" || i.Subresource == "portforward") {
		i.Follows = true
	}
	return nil
}

// flag reads a boolean as the API server does, for which every value but false and
// 0 is true.
func flag(q url.Values, name string) (bool, error) {
	switch values := q[name]; {
	case len(values) == 0:
		return false, nil
	case len(values) > 1:
		return false, refusedQuery("%s is given more than once", name)
	default:
		return values[0] != "false" && values[0] != "0", nil
	}
}

func segments(path string) ([]string, error) {
	switch {
	case len(path) < 2 || path[0] != '/':
		return nil, refusedPath("the path does not begin with / and a name")
	case len(path) > maxPath:
		return nil, refusedPath("the path has %d bytes; at most %d are taken", len(path), maxPath)
	}
	parts := strings.Split(path[1:], "/")
	if len(parts) > maxParts {
		return nil, refusedPath("the path has %d parts; at most %d are taken", len(parts), maxParts)
	}
	for _, p := range parts {
		switch p {
		case "":
			return nil, refusedPath("the path has an empty part")
		case ".", "..":
			return nil, refusedPath("the path has the part %q", p)
		}
		for j := range len(p) {
			if !plain(p[j]) {
				return nil, refusedPath("the path has the byte %q, which is not in any path that needs no escape", p[j])
			}
		}
	}
	return parts, nil
}

func plain(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("-._~:@+,=$", b) >= 0
}

func parameters(query string) (url.Values, error) {
	if len(query) > maxQuery {
		return nil, refusedQuery("the query has %d bytes; at most %d are taken", len(query), maxQuery)
	}
	for j := range len(query) {
		if b := query[j]; b <= ' ' || b >= 0x7f || b == '#' {
			return nil, refusedQuery("the query has the byte %q unescaped", b)
		}
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, refusedQuery("the query cannot be read")
	}
	return q, nil
}

func refusedPath(format string, args ...any) error {
	return fault.New(fault.Invalid, "path_refused", format, args...)
}

func refusedQuery(format string, args ...any) error {
	return fault.New(fault.Invalid, "query_refused", format, args...)
}
