package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
)

const (
	bomType = "application/spdx+json"
	source  = "https://github.com/hawser-dev/hawser"
)

// Built is what Write made.
type Built struct {
	// Digest of the index, which is what a chart or a pod pins.
	Digest digest.Digest
	// Compressed is the size in bytes of the largest architecture's layer.
	Compressed int64
	// Platforms, as linux/amd64, sorted.
	Platforms []string
}

// tag is what a registry takes as one (OCI distribution specification 1.1).
var tag = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// Write makes the layout dir with the image of a program, one architecture for each
// of its files, and beside it dir.tar, which holds the same image for `docker load`,
// `ctr images import` and the like, and dir.ARCHITECTURE.spdx.json, the bills of materials.
// What was at dir is replaced, once the new one is whole.
func Write(ctx context.Context, dir string, p Program, files []string, r Release) (Built, error) {
	if !tag.MatchString(r.Version) {
		return Built{}, fmt.Errorf("version %q cannot be the tag of an image: letters, digits, '.', '_' and '-', 128 at most", r.Version)
	}
	if len(files) == 0 {
		return Built{}, errors.New("no program was given")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return Built{}, err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".image-")
	if err != nil {
		return Built{}, err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil { // temporary directories are private
		return Built{}, err
	}
	store, err := oci.NewWithContext(ctx, work)
	if err != nil {
		return Built{}, err
	}
	store.AutoSaveIndex = false // its order is no order; ours is written at the end

	var built Built
	var images, bills []ocispec.Descriptor
	for _, file := range files {
		b, err := readBinary(file)
		if err != nil {
			return Built{}, err
		}
		platform := b.platform.OS + "/" + b.platform.Architecture
		if slices.Contains(built.Platforms, platform) {
			return Built{}, fmt.Errorf("two programs for %s", platform)
		}
		image, size, err := push(ctx, store, p, b, r)
		if err != nil {
			return Built{}, err
		}
		parts, err := bill(p, b, r)
		if err != nil {
			return Built{}, err
		}
		referrer, err := pushBill(ctx, store, image, parts, r)
		if err != nil {
			return Built{}, err
		}
		if err := os.WriteFile(dir+"."+b.platform.Architecture+".spdx.json", parts, 0o644); err != nil {
			return Built{}, err
		}
		image.Platform = &b.platform
		images, bills = append(images, image), append(bills, referrer)
		built.Compressed = max(built.Compressed, size)
		built.Platforms = append(built.Platforms, platform)
	}
	sort.Strings(built.Platforms)
	sort.Slice(images, func(i, j int) bool { return images[i].Platform.Architecture < images[j].Platform.Architecture })
	index, err := pushJSON(ctx, store, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: images, Annotations: labels(p, r),
	})
	if err != nil {
		return Built{}, err
	}
	built.Digest = index.Digest
	index.Annotations = map[string]string{ocispec.AnnotationRefName: r.Version}
	if err := archive(dir+".tar", work, index, images, r.Created); err != nil {
		return Built{}, err
	}
	if err := writeIndex(work, append([]ocispec.Descriptor{index}, bills...)); err != nil {
		return Built{}, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return Built{}, err
	}
	return built, os.Rename(work, dir)
}

// labels say what an image is, on the index, the manifest and the configuration, as
// the OCI image specification names them.
func labels(p Program, r Release) map[string]string {
	return map[string]string{
		ocispec.AnnotationTitle:         p.Title,
		ocispec.AnnotationDescription:   p.Description,
		ocispec.AnnotationVersion:       r.Version,
		ocispec.AnnotationRevision:      r.Revision,
		ocispec.AnnotationCreated:       r.Created.UTC().Format(time.RFC3339),
		ocispec.AnnotationSource:        source,
		ocispec.AnnotationURL:           source,
		ocispec.AnnotationDocumentation: source + "/tree/main/docs",
		ocispec.AnnotationVendor:        "Hawser",
		ocispec.AnnotationLicenses:      "Apache-2.0",
	}
}

// push puts the image of one architecture into the store. The size is its layer's, compressed.
func push(ctx context.Context, store *oci.Store, p Program, b binary, r Release) (ocispec.Descriptor, int64, error) {
	l, err := newLayer(p.Name, b.content, r.Created)
	if err != nil {
		return ocispec.Descriptor{}, 0, err
	}
	layer, err := oras.PushBytes(ctx, store, ocispec.MediaTypeImageLayerGzip, l.compressed)
	if err != nil {
		return ocispec.Descriptor{}, 0, err
	}
	created := r.Created.UTC()
	ports := map[string]struct{}{}
	for _, port := range p.Ports {
		ports[port] = struct{}{}
	}
	config, err := pushJSON(ctx, store, ocispec.MediaTypeImageConfig, ocispec.Image{
		Created: &created, Author: "Hawser", Platform: b.platform,
		Config: ocispec.ImageConfig{
			User: fmt.Sprintf("%d:%d", userID, userID), Entrypoint: []string{"/" + p.Name}, Cmd: p.Args,
			Env: []string{"HOME=" + home}, WorkingDir: home, ExposedPorts: ports, Labels: labels(p, r),
		},
		RootFS:  ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(l.archive)}},
		History: []ocispec.History{{Created: &created, CreatedBy: "make image", Comment: p.Name + " " + r.Version}},
	})
	if err != nil {
		return ocispec.Descriptor{}, 0, err
	}
	manifest, err := pushJSON(ctx, store, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer}, Annotations: labels(p, r),
	})
	return manifest, layer.Size, err
}

// pushBill puts a bill of materials into the store, as a referrer of its image.
func pushBill(ctx context.Context, store *oci.Store, image ocispec.Descriptor, parts []byte, r Release) (ocispec.Descriptor, error) {
	layer, err := oras.PushBytes(ctx, store, bomType, parts)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	created := map[string]string{ocispec.AnnotationCreated: r.Created.UTC().Format(time.RFC3339)}
	return oras.PackManifest(ctx, store, oras.PackManifestVersion1_1, bomType, oras.PackManifestOptions{
		Subject: &image, Layers: []ocispec.Descriptor{layer}, ManifestAnnotations: created,
	})
}

func pushJSON(ctx context.Context, store *oci.Store, mediaType string, v any) (ocispec.Descriptor, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return oras.PushBytes(ctx, store, mediaType, raw)
}

func layoutIndex(roots []ocispec.Descriptor) ([]byte, error) {
	return json.MarshalIndent(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: roots,
	}, "", "  ")
}

func writeIndex(dir string, roots []ocispec.Descriptor) error {
	raw, err := layoutIndex(roots)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ocispec.ImageIndexFile), raw, 0o644)
}

// archive writes an index, its images and what these are made of as one file. It
// leaves out the bills of materials: programs that load images take every manifest
// that an archive names for one.
func archive(file, dir string, index ocispec.Descriptor, images []ocispec.Descriptor, created time.Time) (err error) {
	raw, err := layoutIndex([]ocispec.Descriptor{index})
	if err != nil {
		return err
	}
	blobs := map[digest.Digest]bool{index.Digest: true}
	for _, image := range images {
		blobs[image.Digest] = true
		var m ocispec.Manifest
		manifest, err := os.ReadFile(blob(dir, image.Digest))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(manifest, &m); err != nil {
			return err
		}
		blobs[m.Config.Digest] = true
		for _, l := range m.Layers {
			blobs[l.Digest] = true
		}
	}
	sorted := make([]string, 0, len(blobs))
	for d := range blobs {
		sorted = append(sorted, d.String())
	}
	sort.Strings(sorted)

	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	add := func(name string, size int64, content io.Reader) error {
		h := &tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: created, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(w, content)
		return err
	}
	mark := []byte(`{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`)
	if err := add(ocispec.ImageLayoutFile, int64(len(mark)), bytes.NewReader(mark)); err != nil {
		return err
	}
	if err := add(ocispec.ImageIndexFile, int64(len(raw)), bytes.NewReader(raw)); err != nil {
		return err
	}
	for _, d := range sorted {
		if err := addBlob(add, dir, digest.Digest(d)); err != nil {
			return err
		}
	}
	return w.Close()
}

func addBlob(add func(string, int64, io.Reader) error, dir string, d digest.Digest) error {
	f, err := os.Open(blob(dir, d))
	if err != nil {
		return err
	}
	defer f.Close()
	var info fs.FileInfo
	if info, err = f.Stat(); err != nil {
		return err
	}
	return add("blobs/"+d.Algorithm().String()+"/"+d.Encoded(), info.Size(), f)
}

func blob(dir string, d digest.Digest) string {
	return filepath.Join(dir, ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}
