package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// MaxBundleBytes is the largest bundle before compression, and so the most that
// decoding one can allocate for its text.
const MaxBundleBytes = 64 << 20

// MaxBundleObjects is the largest number of objects in one bundle.
const MaxBundleObjects = 50_000

const (
	trailerStart  = `{"trailer":{"count":`
	trailerMiddle = `,"digest":"`
	trailerEnd    = "\"}}\n"
)

// encoder is shared: EncodeAll may be called concurrently. One goroutine at a
// time works on one bundle, so the result does not depend on the machine.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // only for options that do not exist
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxBundleBytes+4096))
	if err != nil {
		panic(err)
	}
	return d
})

// EncodeBundle packs objects: one canonical JSON object a line, in the order of
// SortForApply, then a trailer line with their number and digest, compressed
// with zstd. digest is the SHA-256 of the object lines, so that equal objects
// in any order and from any files make the same bundle. objs is not changed.
// An empty bundle is a bundle. The error is of code too_large.
func EncodeBundle(objs []Object) (encoded []byte, digest model.Digest, err error) {
	if len(objs) > MaxBundleObjects {
		return nil, "", fault.New(fault.Unprocessable, "too_large", "the application has %d objects; the limit is %d", len(objs), MaxBundleObjects)
	}
	sorted := append([]Object(nil), objs...)
	SortForApply(sorted)
	var lines []byte
	for _, o := range sorted {
		lines = append(AppendJSON(lines, o.Body), '\n')
		if len(lines) > MaxBundleBytes {
			return nil, "", fault.New(fault.Unprocessable, "too_large", "the application's manifests are more than %s", bytesText(MaxBundleBytes))
		}
	}
	digest = digestOf(lines)
	lines = append(lines, trailerStart...)
	lines = strconv.AppendInt(lines, int64(len(sorted)), 10)
	lines = append(lines, trailerMiddle...)
	lines = append(lines, digest...)
	lines = append(lines, trailerEnd...)
	return encoder().EncodeAll(lines, nil), digest, nil
}

// DecodeBundle unpacks a bundle and checks that it is complete and that it is
// the one that want names. Errors are of kind fault.Unavailable, because
// nothing is wrong with the manifests and fetching again may help, with code
// bundle_incomplete (no trailer, or fewer objects than it says) or
// bundle_corrupt. There are no objects with an error.
func DecodeBundle(encoded []byte, want model.Digest) ([]Object, error) {
	lines, err := BundleLines(encoded, want)
	if err != nil {
		return nil, err
	}
	objs := make([]Object, len(lines))
	for i, line := range lines {
		if objs[i], err = DecodeObject(line); err != nil {
			return nil, fault.Wrap(err, fault.Unavailable, "bundle_corrupt", "object %d of bundle %s cannot be read", i+1, shortDigest(want))
		}
	}
	return objs, nil
}

// BundleLines is DecodeBundle without decoding the objects: each line is the
// canonical JSON of one object, in the order of SortForApply. The lines share
// one allocation. Errors as in DecodeBundle.
func BundleLines(encoded []byte, want model.Digest) ([][]byte, error) {
	name := shortDigest(want)
	text, err := decoder().DecodeAll(encoded, nil)
	if err != nil {
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return nil, fault.Wrap(err, fault.Unavailable, "bundle_corrupt", "bundle %s is more than %s unpacked", name, bytesText(MaxBundleBytes))
		}
		return nil, fault.Wrap(err, fault.Unavailable, "bundle_corrupt", "bundle %s cannot be unpacked", name)
	}
	body, count, digest, ok := cutTrailer(text)
	if !ok {
		return nil, fault.New(fault.Unavailable, "bundle_incomplete", "bundle %s has no trailer: part of it is missing", name)
	}
	if got := digestOf(body); got != digest || digest != want {
		return nil, fault.New(fault.Unavailable, "bundle_corrupt", "bundle %s has other content: its trailer says %s, its content is %s", name, shortDigest(digest), shortDigest(got))
	}
	if n := bytes.Count(body, []byte("\n")); n != count {
		return nil, fault.New(fault.Unavailable, "bundle_incomplete", "bundle %s has %d objects, its trailer says %d", name, n, count)
	}
	if count > MaxBundleObjects {
		return nil, fault.New(fault.Unavailable, "bundle_corrupt", "bundle %s has %d objects; the limit is %d", name, count, MaxBundleObjects)
	}
	lines := make([][]byte, 0, count)
	for len(body) > 0 {
		i := bytes.IndexByte(body, '\n')
		lines = append(lines, body[:i:i])
		body = body[i+1:]
	}
	return lines, nil
}

// cutTrailer separates the object lines from the trailer.
func cutTrailer(text []byte) (body []byte, count int, digest model.Digest, ok bool) {
	if !bytes.HasSuffix(text, []byte(trailerEnd)) {
		return nil, 0, "", false
	}
	start := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	trailer := string(text[start : len(text)-len(trailerEnd)])
	rest, ok := strings.CutPrefix(trailer, trailerStart)
	if !ok {
		return nil, 0, "", false
	}
	number, d, ok := strings.Cut(rest, trailerMiddle)
	if !ok {
		return nil, 0, "", false
	}
	count, err := strconv.Atoi(number)
	if err != nil || count < 0 {
		return nil, 0, "", false
	}
	return text[:start], count, model.Digest(d), true
}

func shortDigest(d model.Digest) string {
	s, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(s) < 12 {
		return fmt.Sprintf("%q", clip(string(d), 20))
	}
	return s[:12]
}
