package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"io/fs"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	// userID is the user and group that the program runs as. It is above those that
	// systems give to people and services.
	userID = 65532
	// home is where the program starts, and what it may write to beside /tmp.
	home = "/var/lib/hawser"
	// authorities is where Go looks for certificates on every Linux.
	authorities = "etc/ssl/certs/ca-certificates.crt"
)

const (
	passwd = "root:x:0:0:root:/:/sbin/nologin\nhawser:x:65532:65532:hawser:" + home + ":/sbin/nologin\n"
	groups = "root:x:0:\nhawser:x:65532:\n"
)

// layer is the file system of an image: the archive, and its compressed form.
type layer struct{ archive, compressed []byte }

// entry is one file or, without content, one directory of a layer.
type entry struct {
	name    string
	mode    fs.FileMode
	owner   int
	content []byte
}

func newLayer(program string, content []byte, created time.Time) (layer, error) {
	entries := []entry{
		{"etc/", 0o755, 0, nil},
		{"etc/group", 0o444, 0, []byte(groups)},
		{"etc/passwd", 0o444, 0, []byte(passwd)},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{authorities, 0o444, 0, publicAuthorities()},
		{program, 0o555, 0, content},
		{"tmp/", 0o1777, 0, nil},
		{"var/", 0o755, 0, nil},
		{"var/lib/", 0o755, 0, nil},
		{"var/lib/hawser/", 0o700, userID, nil},
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.name, Mode: int64(e.mode), Uid: e.owner, Gid: e.owner, Size: int64(len(e.content)),
			ModTime: created, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg,
		}
		if e.name[len(e.name)-1] == '/' {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return layer{}, err
		}
		if _, err := w.Write(e.content); err != nil {
			return layer{}, err
		}
	}
	if err := w.Close(); err != nil {
		return layer{}, err
	}
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	if _, err := z.Write(archive.Bytes()); err != nil {
		return layer{}, err
	}
	if err := z.Close(); err != nil {
		return layer{}, err
	}
	return layer{archive: archive.Bytes(), compressed: compressed.Bytes()}, nil
}

// publicAuthorities are the certificates that Mozilla trusts for servers. Those that
// it trusts within limits that no certificate file can express are left out.
func publicAuthorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return out.Bytes()
}
