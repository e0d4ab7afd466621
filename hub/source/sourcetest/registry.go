package sourcetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// Media types that tests push.
const (
	ManifestType   = "application/vnd.oci.image.manifest.v1+json"
	IndexType      = "application/vnd.oci.image.index.v1+json"
	LayerType      = "application/vnd.oci.image.layer.v1.tar+gzip"
	PlainLayerType = "application/vnd.oci.image.layer.v1.tar"
	ChartType      = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// Layer of an artifact.
type Layer struct {
	Type string
	Data []byte
}

// Registry is an OCI registry that can be pulled from. Fields are set before it
// serves, or under Lock.
type Registry struct {
	log
	sync.Mutex
	// User and Password, when set, are asked for: with Bearer by a token
	// server, without by basic authentication.
	User, Password string
	Bearer         bool
	// Realm in place of the registry's own token server.
	Realm string
	// PageSize of lists of tags; 0 means all.
	PageSize int
	// Handle answers a request in place of the server when it returns true.
	Handle func(w http.ResponseWriter, r *http.Request) bool

	blobs map[string][]byte
	types map[string]string            // of manifests
	tags  map[string]map[string]string // repository → tag → digest
}

// token is what the token server gives out.
const token = "CANARY-token"

// Digest of data.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *Registry) put(data []byte) map[string]any {
	if s.blobs == nil {
		s.blobs, s.types, s.tags = map[string][]byte{}, map[string]string{}, map[string]map[string]string{}
	}
	s.blobs[Digest(data)] = data
	return map[string]any{"digest": Digest(data), "size": len(data)}
}

// Push stores an artifact under tags and returns the digest of its manifest.
func (s *Registry) Push(repo string, tags []string, annotations map[string]string, layers ...Layer) string {
	config := "application/vnd.oci.empty.v1+json"
	list := []any{}
	s.Lock()
	defer s.Unlock()
	for _, l := range layers {
		d := s.put(l.Data)
		d["mediaType"] = l.Type
		list = append(list, d)
		if l.Type == ChartType {
			config = "application/vnd.cncf.helm.config.v1+json"
		}
	}
	c := s.put([]byte("{}"))
	c["mediaType"] = config
	return s.manifest(repo, tags, ManifestType, map[string]any{
		"schemaVersion": 2, "mediaType": ManifestType, "config": c, "layers": list, "annotations": annotations,
	})
}

// PushIndex stores an index without manifests.
func (s *Registry) PushIndex(repo, tag string) string {
	s.Lock()
	defer s.Unlock()
	return s.manifest(repo, []string{tag}, IndexType, map[string]any{"schemaVersion": 2, "mediaType": IndexType, "manifests": []any{}})
}

func (s *Registry) manifest(repo string, tags []string, kind string, content any) string {
	data, err := json.Marshal(content)
	must(err)
	s.put(data)
	digest := Digest(data)
	s.types[digest] = kind
	if s.tags[repo] == nil {
		s.tags[repo] = map[string]string{}
	}
	for _, t := range tags {
		s.tags[repo][t] = digest
	}
	return digest
}

// Blob replaces stored content by its digest, which then is wrong.
func (s *Registry) Blob(digest string, data []byte) {
	s.Lock()
	defer s.Unlock()
	s.blobs[digest] = data
}

var registryPath = regexp.MustCompile(`^/v2/(.+)/(tags|manifests|blobs)/([^/]+)$`)

func (s *Registry) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w := &statusWriter{out, http.StatusOK}
	defer func() { s.add(r, w.status) }()
	s.Lock()
	handle := s.Handle
	s.Unlock()
	if handle != nil && handle(w, r) {
		return
	}
	s.Lock()
	defer s.Unlock()
	if r.URL.Path == "/token" {
		user, password, has := r.BasicAuth()
		if has && (user != s.User || password != s.Password) || !has && s.User != "" {
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"token":%q}`, token) // a client that went away
		return
	}
	if !s.permits(w, r) {
		return
	}
	if r.URL.Path == "/v2/" {
		return
	}
	m := registryPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.NotFound(w, r)
		return
	}
	repo, ok := s.tags[m[1]]
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
	case m[2] == "tags":
		s.list(w, r, m[1], repo)
	case m[2] == "manifests":
		digest := m[3]
		if d, ok := repo[digest]; ok {
			digest = d
		}
		s.serve(w, r, digest, s.types[digest])
	default:
		s.serve(w, r, m[3], "application/octet-stream")
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"no"}]}`, code) // a client that went away
}

func (s *Registry) permits(w http.ResponseWriter, r *http.Request) bool {
	if s.User == "" && s.Realm == "" {
		return true
	}
	if s.Bearer || s.Realm != "" {
		if r.Header.Get("Authorization") == "Bearer "+token {
			return true
		}
		realm := s.Realm
		if realm == "" {
			realm = "https://" + r.Host + "/token"
			if r.TLS == nil {
				realm = "http://" + r.Host + "/token"
			}
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="registry"`, realm))
	} else {
		if user, password, _ := r.BasicAuth(); user == s.User && password == s.Password {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
	}
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	return false
}

func (s *Registry) list(w http.ResponseWriter, r *http.Request, name string, repo map[string]string) {
	all := make([]string, 0, len(repo))
	for t := range repo {
		all = append(all, t)
	}
	sort.Strings(all)
	if last := r.URL.Query().Get("last"); last != "" {
		i, _ := slices.BinarySearch(all, last)
		all = all[min(i+1, len(all)):]
	}
	if s.PageSize > 0 && len(all) > s.PageSize {
		all = all[:s.PageSize]
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?last=%s>; rel="next"`, name, all[len(all)-1]))
	}
	w.Header().Set("Content-Type", "application/json")
	data, err := json.Marshal(map[string]any{"name": name, "tags": all})
	must(err)
	_, _ = w.Write(data) // a client that went away
}

func (s *Registry) serve(w http.ResponseWriter, r *http.Request, digest, kind string) {
	data, ok := s.blobs[digest]
	if !ok {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(data) // a client that went away
	}
}

// Count returns how many of the requests have a path that contains part.
func Count(asked []Asked, part string) int {
	n := 0
	for _, a := range asked {
		if strings.Contains(a.Path, part) {
			n++
		}
	}
	return n
}
