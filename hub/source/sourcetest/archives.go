// Package sourcetest has servers of charts and OCI artifacts for tests: small,
// in the process of the test, and only as correct as a client may demand. They
// count what they are asked, so that tests can see what was not.
package sourcetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"maps"
	"slices"
)

// Tar packs files, in the order of their names.
func Tar(files map[string]string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name]))}))
		_, err := w.Write([]byte(files[name]))
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

// TarHeaders packs entries without content.
func TarHeaders(headers ...tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		must(w.WriteHeader(&h))
	}
	must(w.Close())
	return b.Bytes()
}

// Gzip packs data.
func Gzip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// Chart packs a chart with a Chart.yaml and more files.
func Chart(name, version string, files map[string]string) []byte {
	all := map[string]string{name + "/Chart.yaml": "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n"}
	for path, content := range files {
		all[name+"/"+path] = content
	}
	return Gzip(Tar(all))
}

// must is for what cannot fail in memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
