package policies

import "github.com/etcdsec/etcdsec/cluster"

// File is one file that a store keeps for a backend.
type File struct {
	Member string // whose node it is for; empty if it is for the cluster, or for every other node
	Path   string // slash-separated, below the folder of that node or of the cluster
	Data   []byte
}

// Files lists the files that a store keeps for a backend. The error is a Refusal if the backend cannot
// enforce the intent.
func (b Backend) Files(i *Intent) ([]File, error) { return b.files(i) }

// objectFiles lists the one file of a backend that is made of objects.
func objectFiles(name cluster.Backend) func(*Intent) ([]File, error) {
	return func(i *Intent) ([]File, error) {
		r, err := Render(i, name, RenderOptions{})
		if err != nil {
			return nil, err
		}
		return []File{{Path: "isolation-" + string(name) + ".yaml", Data: r.Text}}, nil
	}
}
