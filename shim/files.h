// What .NET would find in the files that decide what it binds: each is looked at once, and the answers stay the same.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shim/address.h"
#include "shim/kestrel.h"
#include "shim/system.h"

namespace portshim::files {

/// kestrel::Files over the real system, for the identity that portshim runs as. Files are opened as System says; what
/// is larger than System::kMaxFileSize is not read.
class Reader final : public kestrel::Files {
 public:
  /// Paths below `current_directory` are called by their relative name in origins. `home`: the user's home directory;
  /// empty: not known.
  Reader(const system::System& system, std::string current_directory, std::string home = {});

  /// PhysicalFileProvider and FileConfigurationProvider: absent is what cannot be found, and a directory.
  [[nodiscard]] const kestrel::SettingsFile* settings(const std::string& path) const override;
  [[nodiscard]] bool is_directory(const std::string& path) const override;
  [[nodiscard]] std::expected<kestrel::Content, address::Exception> certificate(const std::string& path,
                                                                                int major) const override;
  [[nodiscard]] std::optional<address::Exception> private_key(const std::string& path,
                                                              bool with_password) const override;
  /// DirectoryBasedStoreProvider.cs and PersistedFiles.Unix.cs: each is a file below ~/.dotnet.
  [[nodiscard]] kestrel::Store store(const std::string& name) const override;

  /// The settings files that were found, in the order in which they were asked for.
  [[nodiscard]] const std::vector<std::string>& found() const { return found_; }
  /// Settings files that exist and were not read, since they are too large: they count as absent.
  [[nodiscard]] const std::vector<std::string>& too_large() const { return too_large_; }
  /// Directories in the place of settings files, which count as absent.
  [[nodiscard]] const std::vector<std::string>& settings_directories() const { return settings_directories_; }

 private:
  [[nodiscard]] std::unique_ptr<kestrel::SettingsFile> read(const std::string& path) const;
  /// What opening or reading one throws; nothing for one that may be read.
  [[nodiscard]] std::optional<address::Exception> no_regular_file(const std::string& path, system::FileType type) const;
  [[nodiscard]] bool is_null_device(const std::string& path) const;
  /// The first bytes of a certificate's or key's file, or what opening it throws; nothing where it must not be read.
  [[nodiscard]] std::expected<std::optional<std::string>, address::Exception> beginning(const std::string& path) const;
  /// How a file is called in origins.
  [[nodiscard]] std::string label_of(const std::string& path) const;

  const system::System& system_;
  std::string current_directory_;
  std::string home_;
  mutable std::map<std::string, std::unique_ptr<kestrel::SettingsFile>> settings_;
  mutable std::map<std::string, bool> directories_;
  mutable std::vector<std::string> found_;
  mutable std::vector<std::string> too_large_;
  mutable std::vector<std::string> settings_directories_;
};

}  // namespace portshim::files
