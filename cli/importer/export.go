package importer

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Formats of an export: the API version of the three kinds.
const (
	FormatArgoCD = "argocd"
	FormatHawser = "hawser"
)

// Kinds that can be exported, in the order of an export.
var Kinds = []string{"projects", "repositories", "settings", "applicationsets", "applications"}

// Exported is what a hub has, to be written as manifests. Secrets are not in it:
// the hub does not give them away.
type Exported struct {
	Projects       []model.AppProject
	Repositories   []model.Repository
	Templates      []model.RepositoryTemplate
	Customizations model.Customizations
	// RBAC is the policy that the hub keeps, by key.
	RBAC            map[string]string
	GPGKeys         []GPGKey
	ApplicationSets []model.ApplicationSet
	Applications    []model.Application
}

// Manifest is one object of an export.
type Manifest struct {
	// Kind is one of Kinds, Name the name of the object.
	Kind, Name string
	Object     any
}

// Export makes the manifests, which Argo CD and an import take. What an
// application is set to (observe mode) stays in both: applied again, it must not
// become one that is written. An import's marks stay with format hawser alone, and
// so does what Argo CD has no words for: the losses.
func Export(e Exported, format string) (out []Manifest, losses []Loss) {
	argo := format == FormatArgoCD
	add := func(kind, name string, v any) { out = append(out, Manifest{kind, name, v}) }
	namespace, version := "", model.APIVersionHawser
	if argo {
		namespace, version = "argocd", model.APIVersionArgo
	}
	clean := func(m *model.ObjectMeta) {
		labels, annotations := m.Labels, m.Annotations
		*m = model.ObjectMeta{Name: m.Name, Namespace: m.Namespace, Finalizers: m.Finalizers}
		m.Labels, m.Annotations = labels, annotations
		if argo {
			m.Labels, m.Annotations = without(labels, LabelImported), without(annotations, AnnotationImportedFrom)
			if m.Namespace == "" {
				m.Namespace = namespace
			}
		}
	}
	for _, p := range e.Projects {
		clean(&p.Metadata)
		p.APIVersion, p.Kind, p.Status = version, model.KindAppProject, nil
		if argo {
			losses = append(losses, projectForArgoCD(&p)...)
		}
		add("projects", p.Metadata.Name, p)
	}
	for _, r := range e.Repositories {
		s := repositorySecret("repository", r.URL, r.Project, r.Holds)
		s.StringData["type"] = r.Type
		set(s.StringData, "name", r.Name)
		add("repositories", s.Metadata.Name, s)
		losses = append(losses, credentialForArgoCD(r.URL, r.Holds)...)
	}
	for _, t := range e.Templates {
		s := repositorySecret("repo-creds", t.URL, t.Project, t.Holds)
		add("repositories", s.Metadata.Name, s)
		losses = append(losses, credentialForArgoCD(t.URL, t.Holds)...)
	}
	keys := map[string]string{}
	for _, k := range e.GPGKeys {
		keys[k.ID] = k.Armored
	}
	for _, m := range []struct {
		name string
		data map[string]string
	}{{"argocd-cm", e.Customizations}, {"argocd-rbac-cm", e.RBAC}, {"argocd-gpg-keys-cm", keys}} {
		if len(m.data) == 0 {
			continue
		}
		cm := configMap{APIVersion: "v1", Kind: "ConfigMap", Data: m.data}
		cm.Metadata.Name, cm.Metadata.Namespace = m.name, "argocd"
		cm.Metadata.Labels = map[string]string{"app.kubernetes.io/name": m.name, "app.kubernetes.io/part-of": "argocd"}
		add("settings", m.name, cm)
	}
	for _, s := range e.ApplicationSets {
		clean(&s.Metadata)
		s.APIVersion, s.Kind, s.Status = version, model.KindApplicationSet, nil
		add("applicationsets", s.Metadata.Name, s)
	}
	for _, a := range e.Applications {
		clean(&a.Metadata)
		a.APIVersion, a.Kind, a.Status, a.Operation = version, model.KindApplication, nil, nil
		if argo {
			losses = append(losses, applicationForArgoCD(&a)...)
		}
		add("applications", a.Metadata.Name, a)
	}
	return out, losses
}

type plainMeta struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels,omitempty"`
}

type secretObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   plainMeta         `json:"metadata"`
	StringData map[string]string `json:"stringData"`
}

type configMap struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   plainMeta         `json:"metadata"`
	Data       map[string]string `json:"data"`
}

// repositorySecret is the Secret of Argo CD for a repository, with Placeholder
// for what the hub keeps to itself.
func repositorySecret(kind, url, project string, holds model.CredentialInfo) secretObject {
	h := fnv.New32a()
	h.Write([]byte(kind + " " + url + " " + project)) // a hash never fails
	s := secretObject{APIVersion: "v1", Kind: "Secret", StringData: map[string]string{"url": url}}
	s.Metadata = plainMeta{Name: fmt.Sprintf("%s-%08x", strings.ReplaceAll(kind, "repository", "repo"), h.Sum32()), Namespace: "argocd", Labels: map[string]string{secretType: kind}}
	d := s.StringData
	set(d, "project", project)
	set(d, "username", holds.Username)
	set(d, "noProxy", holds.NoProxy)
	set(d, "githubAppEnterpriseBaseUrl", holds.GitHubAppBaseURL)
	if holds.GitHubAppID != 0 {
		d["githubAppID"] = fmt.Sprint(holds.GitHubAppID)
		d["githubAppPrivateKey"] = Placeholder
	}
	if holds.GitHubAppInstallationID != 0 {
		d["githubAppInstallationID"] = fmt.Sprint(holds.GitHubAppInstallationID)
	}
	for held, key := range map[string]string{
		model.HoldsUsername: "username", model.HoldsPassword: "password", model.HoldsBearer: "bearerToken", model.HoldsSSHKey: "sshPrivateKey", model.HoldsProxy: "proxy",
	} {
		if slices.Contains(holds.Kinds, held) {
			d[key] = Placeholder
		}
	}
	if slices.Contains(holds.Kinds, model.HoldsClientCert) {
		d["tlsClientCertData"], d["tlsClientCertKey"] = Placeholder, Placeholder
	}
	for option, key := range map[string]string{"forceBasicAuth": "forceHttpBasicAuth", "enableLFS": "enableLfs"} {
		if slices.Contains(holds.Options, option) {
			d[key] = "true"
		}
	}
	for check, key := range map[string]string{"insecureSkipVerify": "insecure", "insecureIgnoreHostKey": "insecureIgnoreHostKey", "insecurePlainHTTP": "insecureOCIForceHttp"} {
		if slices.Contains(holds.Insecure, check) {
			d[key] = "true"
		}
	}
	return s
}

func set(m map[string]string, key, value string) {
	if value != "" {
		m[key] = value
	}
}

func without(m map[string]string, key string) map[string]string {
	if _, there := m[key]; !there {
		return m
	}
	out := maps.Clone(m)
	delete(out, key)
	if len(out) == 0 {
		return nil
	}
	return out
}

// JSON is the object of a manifest without what is empty by the shape of Go
// types, such as the destination of a template.
func (m Manifest) JSON() ([]byte, error) { return json.Marshal(m.Object) }
