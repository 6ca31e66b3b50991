// Drives go-tuf's own client, and its metadata types to make repositories.
// Asked with one JSON object as its one argument, it answers with one line of
// JSON (tools/peers/peers.mjs says what is in them). It fetches and reports,
// judges nothing: every failure is the peer's own error, by type.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

type request struct {
	Do          string     `json:"do"`
	MetadataURL string     `json:"metadataUrl"`
	TargetsURL  string     `json:"targetsUrl"`
	RootFile    string     `json:"rootFile"`
	TargetPaths []string   `json:"targetPaths"`
	OutFolder   string     `json:"outFolder"`
	Now         *time.Time `json:"now"`
	Rounds      int        `json:"rounds"`
	Plan        plan       `json:"plan"`
}

type fetched struct {
	OK      bool   `json:"ok"`
	Path    string `json:"path,omitempty"`
	Length  int    `json:"length,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
	Error   string `json:"error,omitempty"`
	Message string `json:"message,omitempty"`
}

type answer struct {
	Error   string    `json:"error,omitempty"`
	Message string    `json:"message,omitempty"`
	Files   []fetched `json:"files,omitempty"`
	Nanos   []int64   `json:"nanos,omitempty"`
}

// errNotFound stands for the untyped error with which a search ends.
var errNotFound = errors.New("no role lists it")

func main() {
	var asked request
	var said answer
	err := json.Unmarshal([]byte(os.Args[1]), &asked)
	if err == nil {
		said, err = carryOut(asked)
	}
	if err != nil {
		said = answer{Error: nameOf(err), Message: err.Error()}
	}
	line, _ := json.Marshal(said)
	fmt.Println(string(line))
}

func carryOut(asked request) (answer, error) {
	switch asked.Do {
	case "fetch":
		return fetch(asked)
	case "time":
		return measure(asked)
	case "make":
		return answer{}, makeRepository(asked.Plan, asked.OutFolder)
	}
	return answer{}, fmt.Errorf("there is no task %s", asked.Do)
}

// fetch refreshes once, then finds and downloads each target.
func fetch(asked request) (answer, error) {
	root, err := os.ReadFile(asked.RootFile)
	if err != nil {
		return answer{}, err
	}
	client, err := open(asked, root, asked.OutFolder)
	if err != nil {
		return answer{}, err
	}
	if err := client.Refresh(); err != nil {
		return answer{}, err
	}
	said := answer{Files: []fetched{}}
	for _, path := range asked.TargetPaths {
		file, err := download(client, path)
		if err != nil {
			file = fetched{Error: nameOf(err), Message: err.Error()}
		}
		said.Files = append(said.Files, file)
	}
	return said, nil
}

func download(client *updater.Updater, path string) (fetched, error) {
	target, err := find(client, path)
	if err != nil {
		return fetched{}, err
	}
	file, content, err := client.DownloadTarget(target, "", "")
	if err != nil {
		return fetched{}, err
	}
	digest := sha256.Sum256(content)
	return fetched{OK: true, Path: file, Length: len(content), SHA256: hex.EncodeToString(digest[:])}, nil
}

func find(client *updater.Updater, path string) (*metadata.TargetFiles, error) {
	target, err := client.GetTargetInfo(path)
	if err != nil && err.Error() == fmt.Sprintf("target %s not found", path) {
		return nil, errNotFound
	}
	return target, err
}

// measure times refreshing and finding the targets, each round from an empty cache.
func measure(asked request) (answer, error) {
	root, err := os.ReadFile(asked.RootFile)
	if err != nil {
		return answer{}, err
	}
	said := answer{Nanos: []int64{}}
	for round := range asked.Rounds {
		folder := filepath.Join(asked.OutFolder, fmt.Sprintf("round-%d", round))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return answer{}, err
		}
		begin := time.Now()
		client, err := open(asked, root, folder)
		if err != nil {
			return answer{}, err
		}
		if err := client.Refresh(); err != nil {
			return answer{}, err
		}
		for _, path := range asked.TargetPaths {
			if _, err := find(client, path); err != nil {
				return answer{}, err
			}
		}
		said.Nanos = append(said.Nanos, time.Since(begin).Nanoseconds())
		if err := os.RemoveAll(folder); err != nil {
			return answer{}, err
		}
	}
	return said, nil
}

// open gives a client with its limits out of the way: they are not what is looked at.
func open(asked request, root []byte, folder string) (*updater.Updater, error) {
	settings, err := config.New(asked.MetadataURL, root)
	if err != nil {
		return nil, err
	}
	settings.RemoteTargetsURL = asked.TargetsURL
	settings.LocalMetadataDir = filepath.Join(folder, "metadata")
	settings.LocalTargetsDir = filepath.Join(folder, "targets")
	settings.SnapshotMaxLength = maxLength
	settings.TargetsMaxLength = maxLength
	client, err := updater.New(settings)
	if err == nil && asked.Now != nil {
		client.UnsafeSetRefTime(*asked.Now)
	}
	return client, err
}

// nameOf gives an error's type, without its package.
func nameOf(err error) string {
	if errors.Is(err, errNotFound) {
		return "TargetNotFound"
	}
	name := fmt.Sprintf("%T", err)
	return name[strings.LastIndex(name, ".")+1:]
}

const maxLength = 1 << 30
