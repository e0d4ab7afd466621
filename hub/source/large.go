package source

import (
	"context"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Git LFS keeps large files outside of the repository, which has pointers to
// them. Where the repository's credential asks for it, a snapshot shows the
// files in place of the pointers; they are fetched when they are read, and kept
// beside the object store of their repository: none other sees them.

// readLarge reads large files of one module, and fetches those that are not
// here.
func (s *Snapshot) readLarge(ctx context.Context, m *module, w *contentsOf) error {
	if len(w.large) == 0 {
		return nil
	}
	var missing []string
	var files []*workerv1.GitLargeFile
	var total int64
	for _, h := range w.large {
		f := w.ids[h].large
		if v, ok := s.sources.cache.get(m.cacheName("lfs", f.GetId())); ok {
			w.got[h] = v.([]byte)
			continue
		}
		missing, files = append(missing, h), append(files, f)
		if f.GetSize() > maxRead || total > maxRead {
			return errLargeFiles()
		}
		if total += f.GetSize(); total > maxRead {
			return errLargeFiles()
		}
	}
	if len(files) == 0 {
		return nil
	}
	large, err := s.sources.readLarge(ctx, m, files)
	if err == nil && len(large.GetMissing()) > 0 {
		absent := make([]*workerv1.GitLargeFile, 0, len(large.GetMissing()))
		for _, i := range large.GetMissing() {
			if int(i) < len(files) {
				absent = append(absent, files[i])
			}
		}
		if err := s.sources.fetchLarge(ctx, m, absent); err != nil {
			return err
		}
		large, err = s.sources.readLarge(ctx, m, files)
	}
	if err != nil {
		return err
	}
	if len(large.GetContents()) != len(files) {
		return fault.New(fault.Unavailable, "git_objects_missing", "files of Git LFS were fetched and are missing again")
	}
	for i, h := range missing {
		content := large.GetContents()[i]
		w.got[h] = content
		s.sources.cache.put(m.cacheName("lfs", files[i].GetId()), content, int64(len(content)))
	}
	return nil
}

func errLargeFiles() error {
	return fault.New(fault.Unprocessable, "too_large", "the files of Git LFS that are asked for have more than %d MiB", maxRead>>20)
}

func (s *Sources) readLarge(ctx context.Context, m *module, files []*workerv1.GitLargeFile) (*workerv1.GitLarge, error) {
	answer, err := s.ask(ctx, readTime, &workerv1.GitRequest{Request: &workerv1.GitRequest_ReadLarge{ReadLarge: &workerv1.GitReadLarge{
		Directory: m.dir, Files: files, MaxBytes: maxRead,
	}}}, nil)
	return answer.GetLarge(), err
}

func (s *Sources) fetchLarge(ctx context.Context, m *module, files []*workerv1.GitLargeFile) error {
	if len(files) == 0 {
		return nil
	}
	cred, err := s.credential(ctx, m.url.String())
	if err != nil {
		return err
	}
	return s.withAccess(ctx, m.url, cred, func(r *workerv1.Remote) error {
		_, err := s.converse(ctx, m.dir, m.url.String(), &workerv1.GitRequest{Request: &workerv1.GitRequest_FetchLarge{FetchLarge: &workerv1.GitFetchLarge{
			Directory: m.dir, Remote: r, Files: files,
		}}})
		return err
	})
}
