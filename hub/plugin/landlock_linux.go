package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock takes rights away from a thread and all that it starts. Rights are
// given to trees of files; there is no rule that takes a part of a tree out, so a
// hidden directory is left out by giving its neighbours, level by level.

// landlockVersion is that of the kernel, 0 when there is none.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

const (
	readRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// version1 are the rights of the first version.
	version1 = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	// fileRights are those that a rule about a file may have.
	fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// allRights are those that a version knows.
func allRights(version int) uint64 {
	rights := uint64(version1)
	if version >= 2 {
		rights |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 5 {
		rights |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

// devices that programs write to.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// restrict binds the calling thread: it may read and execute everything but what
// is hidden, and write to the writable directories only; from version 6 on it
// reaches no process outside by signals or abstract sockets. A writable directory
// may be inside of a hidden one.
func restrict(hidden, writable []string) error {
	version := landlockVersion()
	if version == 0 {
		return unix.ENOSYS
	}
	rights := allRights(version)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: rights}
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	bytes := unsafe.Offsetof(attr.Quiet_access_fs) // what came later is not used
	if version < 6 {
		bytes = unsafe.Offsetof(attr.Scoped)
	}
	if version < 4 {
		bytes = unsafe.Offsetof(attr.Handled_access_net)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), bytes, 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer func() { _ = unix.Close(int(fd)) }() // it has been used or not
	if err := allowBeside(int(fd), "/", hidden, readRights&rights); err != nil {
		return err
	}
	for _, dir := range writable {
		if err := allow(int(fd), dir, rights); err != nil {
			return err
		}
	}
	for _, dev := range devices {
		// One that is not there needs no rule.
		_ = allow(int(fd), dev, rights)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

// maxNeighbours bounds how many neighbours of a hidden directory are looked at;
// those after them are hidden too.
const maxNeighbours = 5000

// allowBeside gives rights to all below dir but what is hidden.
func allowBeside(ruleset int, dir string, hidden []string, rights uint64) error {
	inside := false
	for _, h := range hidden {
		if h == dir {
			return nil
		}
		inside = inside || strings.HasPrefix(h, strings.TrimSuffix(dir, "/")+"/")
	}
	if !inside {
		return allow(ruleset, dir, rights)
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // what cannot be read here cannot be read there either
	}
	names, err := d.Readdirnames(maxNeighbours)
	if e := d.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil
	}
	for _, name := range names {
		if err := allowBeside(ruleset, filepath.Join(dir, name), hidden, rights); err != nil {
			return err
		}
	}
	return nil
}

// allow gives rights to a tree or a file. A symbolic link has none of its own,
// and what has gone meanwhile needs none.
func allow(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }() // it was only named
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
	case unix.S_IFLNK:
		return nil
	default:
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 && errno != unix.EBADFD { // files of the kernel's own, which no rule is about
		return fmt.Errorf("landlock: %s: %w", path, errno)
	}
	return nil
}
