# A base image with portshim, for images that know nothing of it:
#
#   docker build -f docker/aspnet.Dockerfile --build-arg BASE=AN-ASPNET-IMAGE -t aspnet-portshim .
#
# BASE is any aspnet or SDK image: on Debian, Ubuntu, Alpine, Azure Linux or UBI, chiseled or distroless. Files are
# copied and nothing is run, so no shell is needed. PORTSHIM is the image that docker/Dockerfile makes. A derived image
# says
#
#   ENTRYPOINT ["dotnet", "App.dll"]    and finds portshim under the name `dotnet`, first in PATH, or
#   CMD ["dotnet", "App.dll"]           and inherits the ENTRYPOINT.
#
# portshim explains and changes nothing until somebody sets PORTSHIM=rewrite. Other variants, by --target:
#
#   in-place    /usr/bin/dotnet becomes portshim: for derived images that name this path, or set a PATH of their own
#   legacy      for images up to .NET 7, with ASPNETCORE_URLS=http://+:80: also explains what will happen to containers
#               that still run as root, when they do not any more
ARG BASE
ARG PORTSHIM=portshim

FROM ${PORTSHIM} AS portshim

FROM scratch AS named-dotnet
COPY --from=portshim /portshim /bin/dotnet

FROM ${BASE} AS entrypoint
COPY --from=portshim /portshim /portshim
ENV PORTSHIM=explain
ENTRYPOINT ["/portshim", "--"]

# A folder is copied: /usr/bin/dotnet is a link, and BuildKit would follow it for a file, and overwrite the real dotnet.
FROM entrypoint AS in-place
COPY --from=named-dotnet /bin /usr/bin

FROM entrypoint AS linked
COPY --from=named-dotnet /bin /usr/local/bin

FROM linked AS legacy
ENV PORTSHIM_FLOOR=1024

FROM linked
