# A base image with portshim, for every app of a company:
#
#   docker build -f docker/aspnet.Dockerfile --build-arg BASE=AN-ASPNET-IMAGE --build-arg PORTSHIM=THE-PORTSHIM-IMAGE .
#
# BASE is any official aspnet image, on Debian, Ubuntu, Alpine or Azure Linux, chiseled or distroless: nothing is run here,
# so that it needs no shell. PORTSHIM is the image that docker/Dockerfile makes. Images derived from this one keep their
#
#   ENTRYPOINT ["dotnet", "App.dll"]    which finds portshim under the name `dotnet`, first in PATH, or say
#   CMD ["dotnet", "App.dll"]           and inherit the ENTRYPOINT.
#
# portshim explains and changes nothing, until somebody runs the container with PORTSHIM=rewrite.
ARG BASE
ARG PORTSHIM=portshim
FROM ${PORTSHIM} AS portshim

FROM ${BASE}
COPY --from=portshim /portshim /portshim
COPY --from=portshim /portshim /usr/local/bin/dotnet
ENV PORTSHIM=explain
ENTRYPOINT ["/portshim", "--"]
