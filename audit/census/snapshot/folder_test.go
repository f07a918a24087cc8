package snapshot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
)

// A snapshot that cannot be read to its end may need any key.
func TestFolderWithDamage(t *testing.T) {
	t.Parallel()
	whole := smallSnapshot(t)
	needed := []audit.Writer{{Provider: audit.SecretboxProvider, Key: "k2"}}
	other := []audit.Writer{{Provider: audit.SecretboxProvider, Key: "other"}}
	overwritten := slices.Clone(whole)
	for at := 4 * os.Getpagesize(); at < len(overwritten)-4096; at++ {
		overwritten[at] ^= 0xff
	}
	for name, c := range map[string]struct {
		data    []byte
		damaged bool
	}{
		"whole":       {data: whole},
		"empty":       {[]byte{}, true},
		"no database": {[]byte(strings.Repeat("x", 8192)), true},
		"cut in two":  {whole[:len(whole)/2/4096*4096], true},
		"overwritten": {overwritten, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.data)
			folder := Folder{Dir: filepath.Dir(path), Now: time.Now, Options: Options{Layout: census.DefaultLayout()}}
			found, err := folder.Needing(t.Context(), other)
			switch {
			case len(found) > 0:
				t.Errorf("needing another key: %q", found)
			case c.damaged && (err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "may need the key")):
				t.Errorf("got %v", err)
			case !c.damaged && err != nil:
				t.Error(err)
			}
			if found, err := folder.Needing(t.Context(), needed); !c.damaged && (err != nil || !slices.Equal(found, []string{path})) || c.damaged && err == nil && len(found) == 0 {
				t.Errorf("its key: %q, %v", found, err)
			}
			folder.Expiry, folder.Now = time.Hour, func() time.Time { return time.Now().Add(2 * time.Hour) }
			if found, err := folder.Needing(t.Context(), needed); err != nil || len(found) > 0 {
				t.Errorf("expired: %q, %v", found, err)
			}
			folder.Expiry, folder.Options.Layout = 0, census.NewLayout("/elsewhere")
			if found, err := folder.Needing(t.Context(), needed); err == nil || len(found) > 0 {
				t.Errorf("below another prefix: %q", found)
			}
		})
	}
}
