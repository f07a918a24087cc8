package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"

	"github.com/etcdsec/etcdsec/audit"
)

// etcd appends the SHA-256 of a database to the snapshot that it sends. A database is a whole
// number of disk sectors, so that what is left over tells whether there is one
// (etcd etcdutl/snapshot/v3_snapshot.go, hasChecksum).
const sectorSize = 512

// splitDigest cuts the digest off, if there is one.
func splitDigest(data []byte) (database, digest []byte) {
	if len(data) > sha256.Size && len(data)%sectorSize == sha256.Size {
		return data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	}
	return data, nil
}

// checkDigest hashes a database and compares.
func checkDigest(ctx context.Context, database, digest []byte) (string, error) {
	if digest == nil {
		return audit.DigestAbsent, nil
	}
	const piece = 1 << 20
	hash := sha256.New()
	for rest := database; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		_, _ = hash.Write(rest[:min(piece, len(rest))]) // a hash takes everything
	}
	if !bytes.Equal(hash.Sum(nil), digest) {
		return audit.DigestDiffers, nil
	}
	return audit.DigestMatches, nil
}
