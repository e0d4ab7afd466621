package image

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// component is one thing that a program is made of.
type component struct {
	name, version string
	// url is its package URL (github.com/package-url/purl-spec).
	url string
	// sum of a Go module, as in go.sum; empty for others.
	sum string
	// license is an SPDX expression as its package declares it; empty when it says none.
	license string
}

// modules that a Go program was linked from, the standard library among them.
func modules(info *buildinfo.BuildInfo) []component {
	version := strings.TrimPrefix(info.GoVersion, "go")
	out := []component{{name: "stdlib", version: version, url: "pkg:golang/stdlib@" + version}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out = append(out, component{name: m.Path, version: m.Version, url: "pkg:golang/" + m.Path + "@" + m.Version, sum: m.Sum})
	}
	return out
}

// npmPackages are those of a lock file that are part of what is built, which those for
// development are not.
func npmPackages(lockfile string) ([]component, error) {
	raw, err := os.ReadFile(lockfile)
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct {
			Version string
			License string
			Dev     bool
		}
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		return nil, fmt.Errorf("%s: %w", lockfile, err)
	}
	var out []component
	for at, p := range lock.Packages {
		// The project itself is at ""; a package's own packages are at a/node_modules/b.
		_, name, found := cutLast(at, "node_modules/")
		if !found || p.Dev {
			continue
		}
		out = append(out, component{name: name, version: p.Version, url: "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + p.Version, license: p.License})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s names no packages", lockfile)
	}
	return out, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// bill is the bill of materials of a program, SPDX 2.3 as JSON. The same program has
// the same bill: its name in the world has the program's hash, its time is the release's.
func bill(p Program, b binary, r Release) ([]byte, error) {
	parts := modules(b.info)
	if p.Lockfile != "" {
		packages, err := npmPackages(p.Lockfile)
		if err != nil {
			return nil, err
		}
		parts = append(parts, packages...)
	}
	sort.Slice(parts, func(i, j int) bool { return parts[i].url < parts[j].url })

	hash := sha256.Sum256(b.content)
	sum := hex.EncodeToString(hash[:])
	root := &spdx.Package{
		PackageName: p.Name, PackageSPDXIdentifier: "program", PackageVersion: r.Version,
		PackageDownloadLocation: "NOASSERTION", PackageLicenseDeclared: "Apache-2.0", PackageLicenseConcluded: "NOASSERTION",
		PackageChecksums:      []common.Checksum{{Algorithm: common.SHA256, Value: sum}},
		PrimaryPackagePurpose: "APPLICATION",
		PackageSourceInfo:     "commit " + r.Revision + ", " + b.platform.OS + "/" + b.platform.Architecture,
	}
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      p.Name + " " + r.Version,
		DocumentNamespace: "https://hawser.dev/spdx/" + p.Name + "/" + sum,
		CreationInfo: &spdx.CreationInfo{
			Created:  r.Created.UTC().Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "hawser-build-image"}},
		},
		Packages:      []*spdx.Package{root},
		Relationships: []*spdx.Relationship{related("DOCUMENT", "DESCRIBES", "program")},
	}
	seen := map[string]bool{}
	for _, c := range parts {
		if seen[c.url] {
			continue
		}
		seen[c.url] = true
		id := common.ElementID(fmt.Sprintf("part-%d", len(seen)))
		license := "NOASSERTION"
		if c.license != "" {
			license = c.license
		}
		part := &spdx.Package{
			PackageName: c.name, PackageSPDXIdentifier: id, PackageVersion: c.version,
			PackageDownloadLocation: "NOASSERTION", PackageLicenseDeclared: license, PackageLicenseConcluded: "NOASSERTION",
			PackageExternalReferences: []*spdx.PackageExternalReference{{Category: "PACKAGE-MANAGER", RefType: "purl", Locator: c.url}},
		}
		if c.sum != "" {
			part.PackageSourceInfo = "go.sum " + c.sum
		}
		doc.Packages = append(doc.Packages, part)
		doc.Relationships = append(doc.Relationships, related("program", "CONTAINS", id))
	}
	var out bytes.Buffer
	if err := spdxjson.Write(doc, &out, spdxjson.Indent("  ")); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func related(a common.ElementID, how string, b common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{RefA: common.MakeDocElementID("", string(a)), Relationship: how, RefB: common.MakeDocElementID("", string(b))}
}
