package census

import "google.golang.org/protobuf/encoding/protowire"

// The fields of EncryptedObject, from k8s.io/apiserver
// pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto. The key ID is clear text.
const (
	fieldEncryptedData = 1
	fieldKeyID         = 2
)

// maxKeyID is kube-apiserver's own limit (envelope/kmsv2/envelope.go, KeyIDMaxSize).
const maxKeyID = 1 << 10

// encryptedObject reads the key ID of KMS v2's message, and whether the message is whole.
// As in any protobuf parser, the last of two fields of one number counts.
func encryptedObject(b []byte) (keyID []byte, whole bool) {
	var data []byte
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, false
		}
		b = b[n:]
		if kind == protowire.BytesType {
			var value []byte
			if value, n = protowire.ConsumeBytes(b); n < 0 {
				return nil, false
			}
			switch number {
			case fieldEncryptedData:
				data = value
			case fieldKeyID:
				keyID = value
			}
		} else if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return nil, false
		}
		b = b[n:]
	}
	if len(data) == 0 || len(keyID) == 0 || len(keyID) > maxKeyID || !printable(keyID) {
		return nil, false
	}
	return keyID, true
}
