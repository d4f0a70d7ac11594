# The test app in the ways in which people put portshim into an image; the context is the published app.
ARG BASE
ARG PORTSHIM
FROM ${PORTSHIM} AS portshim

# As an image that knows nothing of portshim; up to .NET 7 there was no user app.
FROM ${BASE} AS legacy
WORKDIR /app
COPY . .
ENTRYPOINT ["dotnet", "aspnetapp.dll"]

FROM legacy AS plain
USER $APP_UID

# By the ENTRYPOINT of the base.
FROM ${BASE} AS inherited
WORKDIR /app
COPY . .
USER $APP_UID
CMD ["dotnet", "aspnetapp.dll"]

# By its own ENTRYPOINT.
FROM plain AS shimmed
COPY --from=portshim /portshim /portshim
ENTRYPOINT ["/portshim", "--", "dotnet", "aspnetapp.dll"]

# By its own ENTRYPOINT, with the app in CMD.
FROM plain AS command
COPY --from=portshim /portshim /portshim
ENTRYPOINT ["/portshim", "--"]
CMD ["dotnet", "aspnetapp.dll"]

# Two copies under the name dotnet that find each other in PATH.
FROM plain AS twice
COPY --from=portshim /portshim /usr/local/sbin/dotnet
COPY --from=portshim /portshim /usr/local/bin/dotnet
